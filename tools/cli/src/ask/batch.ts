import { createReadStream } from 'node:fs';
import { open, readFile, truncate } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Frontend } from '@dynamo/llm';
import { Progress } from '@dynamo/replay';
import { DynamoError } from '@dynamo/runtime';
import { UsageError } from '../usage.ts';
import { answerLine } from './batch-line.ts';
import { inOrder } from './in-order.ts';

/** A file of requests to ask. */
export interface BatchOptions {
  readonly file: string;
  readonly output: string;
  readonly resume: boolean;
  readonly concurrency: number;
  readonly model: string;
  readonly maxTokens?: number | undefined;
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface BatchSummary {
  /** Answers that were there from an earlier run. */
  readonly kept: number;
  readonly answered: number;
  readonly failed: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly elapsedMs: number;
  /** Whether every request of the file has its line now. */
  readonly complete: boolean;
}

/**
 * Asks every line of a file and writes a line for each, in their order. A run that was cut off goes on where its output ends:
 * half a line at its end is taken away.
 *
 * @throws UsageError for a file that can't be read.
 */
export async function runBatch(frontend: Frontend, options: BatchOptions): Promise<BatchSummary> {
  const { file, output, signal, concurrency } = options;
  const total = await countRequests(file);
  const kept = options.resume ? await keptLines(output) : 0;
  const began = performance.now();
  const progress = new Progress('batch');
  let [answered, failed, tokensIn, tokensOut] = [0, 0, 0, 0];
  await using out = await open(output, kept > 0 ? 'a' : 'w');
  await inOrder(requestsOf(file, kept), {
    concurrency,
    signal,
    work: (line) => answerLine(frontend, line, options),
    async write(answer) {
      await out.appendFile(`${answer.line}\n`);
      if (answer.failed) failed++;
      else answered++;
      tokensIn += answer.tokensIn;
      tokensOut += answer.tokensOut;
      progress.at(kept + answered + failed, total);
    },
  });
  progress.end();
  return { kept, answered, failed, tokensIn, tokensOut, elapsedMs: performance.now() - began, complete: kept + answered + failed >= total };
}

/** The summary as a line for people. */
export function summaryLine({ kept, answered, failed, tokensIn, tokensOut, elapsedMs, complete }: BatchSummary): string {
  const seconds = elapsedMs / 1_000;
  const rate = seconds > 0 ? Math.round(tokensOut / seconds) : 0;
  const parts = [
    `${answered} answered`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(kept > 0 ? [`${kept} were there already`] : []),
    `${tokensIn} tokens in, ${tokensOut} out, ${rate} out/s, ${seconds.toFixed(1)} s`,
    ...(complete ? [] : ['the same command goes on from here']),
  ];
  return parts.join('; ');
}

/** The requests of a file behind the first few; empty lines are none. */
async function* requestsOf(file: string, behind: number): AsyncGenerator<string> {
  let at = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    if (line.trim() === '') continue;
    if (at++ >= behind) yield line;
  }
}

async function countRequests(file: string): Promise<number> {
  let count = 0;
  try {
    for await (const _ of requestsOf(file, 0)) count++;
  } catch (cause) {
    throw new UsageError(`batch '${file}' can't be read: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (count === 0) throw new DynamoError('invalid_argument', `batch '${file}' has no requests`);
  return count;
}

/** How many whole lines an output holds; what is behind the last of them is cut off. */
async function keptLines(output: string): Promise<number> {
  const bytes = await readFile(output).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (bytes === undefined) return 0;
  const end = bytes.lastIndexOf(10) + 1;
  if (end < bytes.length) await truncate(output, end);
  let lines = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++;
  return lines;
}
