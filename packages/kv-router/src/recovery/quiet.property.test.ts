import { silentLogger } from '@dynamo/runtime/internal';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { prefixIndexes } from '../prefix/index.ts';
import { HeldBlocks } from '../publish/held-blocks.ts';
import { LocalIndex } from '../publish/local-index.ts';
import { RankTable } from '../ranks.ts';
import { normalDump } from '../testing/normal-dump.ts';
import type { KvChange, RouterEvent } from '../wire/kv-event.ts';
import { EventSource } from './source.ts';

/** What becomes of an event on its way, in steps that it is late; a question's answer takes `answers` steps, and may fail. */
interface Step {
  readonly kind: 'store' | 'remove' | 'clear' | 'restart';
  readonly family: number;
  readonly depth: number;
  readonly arrivals: readonly number[];
  readonly answers: number;
  readonly fails: boolean;
}

const steps = fc.array(
  fc.record<Step>({
    kind: fc.oneof(
      { weight: 12, arbitrary: fc.constant('store' as const) },
      { weight: 6, arbitrary: fc.constant('remove' as const) },
      { weight: 1, arbitrary: fc.constant('clear' as const) },
      { weight: 1, arbitrary: fc.constant('restart' as const) },
    ),
    family: fc.nat(3),
    depth: fc.integer({ min: 1, max: 6 }),
    // None: lost. Two: duplicated. Late ones are overtaken.
    arrivals: fc.oneof({ weight: 6, arbitrary: fc.constant([0]) }, { weight: 3, arbitrary: fc.array(fc.nat(5), { maxLength: 3 }) }),
    answers: fc.nat(4),
    fails: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  }),
  { maxLength: 60 },
);

const workerId = 7n;
const hash = (family: number, block: number): bigint => BigInt(family * 100 + block + 1);

function changeOf({ kind, family, depth }: Step): KvChange {
  if (kind === 'remove') return { type: 'removed', hashes: [hash(family, depth - 1)] };
  if (kind !== 'store') return { type: 'cleared' };
  const blocks = Array.from({ length: depth }, (_, block) => ({ blockHash: hash(family, block), tokensHash: hash(family, block) * 31n }));
  return { type: 'stored', parent: undefined, blocks };
}

/** One worker, one router, and a way between them that keeps no promise. */
class Stage {
  readonly index = prefixIndexes.events({ ranks: new RankTable(), clock: () => 0 });
  #held = new HeldBlocks();
  #local = new LocalIndex({ workerId, dpRank: 0 }, this.#held);
  #last = 0;
  #source: EventSource;
  #now = 0;
  #due: { readonly at: number; readonly run: () => void }[] = [];
  #answers = 0;
  #fails = false;

  constructor() {
    this.#source = this.#open();
  }

  #open(): EventSource {
    const local = this.#local;
    return new EventSource({
      ask: (start) => {
        const { promise, resolve, reject } = Promise.withResolvers<ReturnType<LocalIndex['answer']>>();
        const fails = this.#fails;
        const answer = local.answer({ workerId, dpRank: 0, start, end: undefined });
        this.#after(this.#answers, () => (fails ? reject(new Error('lost')) : resolve(answer)));
        return promise;
      },
      apply: (event) => void this.index.apply(event),
      reset: () => this.index.clear(0),
      sleep: async () => undefined,
      log: silentLogger,
    });
  }

  async step(step: Step): Promise<void> {
    this.#answers = step.answers;
    this.#fails = step.fails;
    if (step.kind === 'restart') this.#restart();
    else {
      const event: RouterEvent = { workerId, dpRank: 0, tier: 'device', domain: 'worker', id: ++this.#last, change: changeOf(step) };
      this.#local.apply(event);
      const source = this.#source;
      for (const late of step.arrivals) this.#after(late, () => source.push(event));
    }
    await this.#tick();
  }

  /** Everything that is under way arrives, one more event shows what is missing, and who doubts is given everything anew. */
  async quiet(): Promise<void> {
    this.#answers = 0;
    this.#fails = false;
    for (let turn = 0; turn < 12; turn++) await this.#tick();
    await this.step({ kind: 'store', family: 9, depth: 1, arrivals: [0], answers: 0, fails: false });
    for (let turn = 0; turn < 12; turn++) await this.#tick();
    if (this.#source.state === 'degraded') this.#source.resync();
    for (let turn = 0; turn < 12; turn++) await this.#tick();
    expect(this.#source.state).toBe('live');
  }

  get held(): string[] {
    return normalDump(this.#held.dump());
  }

  #restart(): void {
    this.#source[Symbol.dispose]();
    this.index.clear(0);
    this.#held = new HeldBlocks();
    this.#local = new LocalIndex({ workerId, dpRank: 0 }, this.#held);
    this.#last = 0;
    this.#source = this.#open();
  }

  #after(steps: number, run: () => void): void {
    this.#due.push({ at: this.#now + steps, run });
  }

  async #tick(): Promise<void> {
    const due = this.#due.filter(({ at }) => at <= this.#now);
    this.#due = this.#due.filter(({ at }) => at > this.#now);
    for (const { run } of due) run();
    for (let turn = 0; turn < 8; turn++) await Promise.resolve();
    this.#now++;
  }
}

test('whatever is lost, repeated, overtaken, late or restarted: once quiet, the index is what the worker holds', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const stage = new Stage();
      stage.index.apply({ workerId, dpRank: 0, tier: 'device', domain: 'worker', id: 0, change: { type: 'cleared' } });
      for (const step of script) await stage.step(step);
      await stage.quiet();
      expect(normalDump(stage.index.dump())).toEqual(stage.held);
    }),
    { numRuns: 300 },
  );
});
