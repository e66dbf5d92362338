import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { DynamoError } from '@dynamo/runtime';
import type { WireSummary } from '../wire/report.ts';
import type { Variant } from './variants.ts';
import type { SweepAnswer } from './sweep-thread.ts';

/** What one combination came to: its figures, or why there are none. */
export interface SweepResult {
  readonly label: string;
  readonly summary?: WireSummary;
  readonly error?: string;
}

/** Runs all combinations, as many at once as there are cores; each answer comes in the place of its question. */
export async function sweep(
  variants: readonly Variant[],
  options: {
    readonly threads?: number | undefined;
    readonly onDone?: (done: number, total: number) => void;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<SweepResult[]> {
  const results: SweepResult[] = [];
  let [next, done] = [0, 0];
  const lane = async (): Promise<void> => {
    const thread = new SweepThread();
    await using _closing = thread;
    for (let at = next++; at < variants.length; at = next++) {
      options.signal?.throwIfAborted();
      const { label, options: replay } = variants[at] as Variant;
      results[at] = { label, ...(await thread.run(replay)) };
      options.onDone?.(++done, variants.length);
    }
  };
  const threads = Math.max(1, Math.min(options.threads ?? availableParallelism(), variants.length));
  await Promise.all(Array.from({ length: threads }, lane));
  return results;
}

/** One thread that answers one question after the other. */
class SweepThread implements AsyncDisposable {
  readonly #worker = new Worker(new URL('./sweep-thread.ts', import.meta.url));

  run(options: unknown): Promise<SweepAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<SweepAnswer>();
    const onExit = (code: number): void => reject(new DynamoError('unknown', `a thread of the sweep ended with code ${code}`));
    const settle = (act: () => void): void => {
      this.#worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      act();
    };
    const onMessage = (answer: SweepAnswer): void => settle(() => resolve(answer));
    const onError = (error: Error): void => settle(() => reject(error));
    this.#worker.once('message', onMessage).once('error', onError).once('exit', onExit);
    this.#worker.postMessage(options);
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Measures of which more is better; of all others, less. */
const moreIsBetter = /throughput|goodput|completed|reused|per_user/;

/**
 * The combinations from the best to the worst by one figure of the summary; what failed comes last.
 *
 * @throws DynamoError `invalid_argument` for a figure that the summaries do not have.
 */
export function ranked(results: readonly SweepResult[], by: string): SweepResult[] {
  const known = results.find(({ summary }) => summary !== undefined)?.summary;
  if (known !== undefined && typeof known[by] !== 'number') throw new DynamoError('invalid_argument', `'${by}' is no figure of the summary`);
  const sign = moreIsBetter.test(by) ? -1 : 1;
  const figure = ({ summary }: SweepResult): number => (typeof summary?.[by] === 'number' ? sign * summary[by] : Infinity);
  return results.toSorted((a, b) => figure(a) - figure(b));
}
