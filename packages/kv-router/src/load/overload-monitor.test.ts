import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { RankTable } from '../ranks.ts';
import { type PlaceRequest, Scheduler } from '../select/scheduler.ts';
import { readWorkerConfig } from '../workers/worker-config.ts';
import { WorkerSet } from '../workers/worker-set.ts';
import { ActiveSequences } from './active-sequences.ts';
import { type BusyThresholds, OverloadMonitor } from './overload-monitor.ts';

const document = JSON.parse(readFileSync(new URL('../../../../vectors/kv-router/busy_threshold.json', import.meta.url), 'utf8')) as { cases: any[] };

function stage(thresholds: BusyThresholds, options: { workers?: number; dpSize?: number } = {}) {
  const ranks = new RankTable();
  const workers = new WorkerSet(ranks);
  for (let id = 0; id < (options.workers ?? 2); id++) {
    const runtime = { total_kv_blocks: 1000, max_num_batched_tokens: 2048, data_parallel_size: options.dpSize ?? 1 };
    workers.put(BigInt(id), readWorkerConfig({ runtime_config: runtime }));
  }
  const sequences = new ActiveSequences({ clock: () => 0, ranks });
  const monitor = new OverloadMonitor(workers, thresholds);
  const scheduler = new Scheduler({ workers, sequences, overload: monitor }, { blockSize: 16 });
  const load = (worker: number, [decode, used]: [number | null, number | null], dpRank = 0): void =>
    monitor.report(ranks.find(BigInt(worker), dpRank) ?? -1, {
      ...(decode === null ? {} : { activeDecodeBlocks: decode }),
      ...(used === null ? {} : { kvUsedBlocks: used }),
    });
  const free = (): number[] => [...workers.all()].filter(({ id }) => !monitor.isOverloaded(id)).map(({ id }) => Number(id));
  return { monitor, scheduler, sequences, load, free };
}

const named = (picks: string): number[] => (picks === 'alternating' ? [0, 1] : [Number(picks.at(-1))]);
const thresholdsOf = (wire: any): BusyThresholds => ({
  ...(typeof wire.active_decode_blocks_threshold === 'number' ? { decodeBlocks: wire.active_decode_blocks_threshold } : {}),
  ...(typeof wire.active_prefill_tokens_threshold === 'number' ? { prefillTokens: wire.active_prefill_tokens_threshold } : {}),
  ...(typeof wire.active_prefill_tokens_threshold_frac === 'number' ? { prefillFraction: wire.active_prefill_tokens_threshold_frac } : {}),
});
const prompt = (isl: number): PlaceRequest => ({ isl, sequence: new Uint32Array(0) });

test('load messages alone: every step of the captured round-robin frontend', () => {
  const [captured] = document.cases;
  const { load, free } = stage(thresholdsOf(captured));
  for (const { load: message, picks, all_busy: busy } of captured.steps) {
    load(Number(message[0].slice(1)), [message[1], message[2]]);
    if (picks !== undefined) expect(free()).toEqual(named(picks));
    if (busy !== undefined) expect(free()).toEqual([]);
  }
});

test('thresholds that are set at run time count from the next message on', () => {
  const captured = document.cases[4];
  const { load, free, monitor } = stage({});
  for (const { load: message, POST: change, picks } of captured.steps) {
    if (message !== undefined) load(Number(message[0].slice(1)), [message[1], message[2]]);
    if (change !== undefined) monitor.setThresholds(thresholdsOf(change));
    expect(free()).toEqual(named(picks));
  }
});

test('in kv mode old loads pass until the next message, and a threshold can be changed but not taken away', () => {
  const captured = document.cases[1];
  const { load, monitor, scheduler } = stage({});
  load(0, [null, 900]);
  load(1, [null, 900]);
  for (const { body, answer, status } of captured['POST /busy_threshold']) {
    if (status === 400 && body !== undefined) expect(() => monitor.setThresholds(thresholdsOf(body))).toThrow(answer.error);
    if (status !== 200) continue;
    monitor.setThresholds(thresholdsOf(body));
    if (answer !== undefined) expect(monitor.thresholds).toEqual(thresholdsOf(answer));
    expect(() => scheduler.place(prompt(16))).not.toThrow();
  }
  monitor.setThresholds({ decodeBlocks: 0.5 });
  load(1, [null, 900]);
  expect(() => scheduler.place(prompt(16))).toThrow('all eligible workers are overloaded');
});

test('prompts of our own that are being read count without any message', () => {
  const captured = document.cases[2];
  const { scheduler, sequences } = stage(thresholdsOf(captured));
  const first = scheduler.place(prompt(209));
  scheduler.book('first', first);
  for (let n = 0; n < 6; n++) expect(scheduler.place(prompt(20)).rank).not.toBe(first.rank);
  scheduler.book('second', scheduler.place(prompt(209)));
  expect(() => scheduler.place(prompt(20))).toThrow(expect.objectContaining({ code: 'resource_exhausted' }));
  sequences.prefillDone('first');
  expect(scheduler.place(prompt(20)).rank).toBe(first.rank);
});

test('a part of the step size is a threshold too', () => {
  const captured = document.cases[3];
  const { scheduler, sequences } = stage(thresholdsOf(captured));
  scheduler.book('small', scheduler.place(prompt(69)));
  expect(() => scheduler.place(prompt(20))).not.toThrow();
  sequences.free('small');
  scheduler.book('one', scheduler.place(prompt(129)));
  scheduler.book('two', scheduler.place(prompt(129)));
  expect(() => scheduler.place(prompt(20))).toThrow('all eligible workers are overloaded');
});

test('a worker is overloaded when all its ranks are, and our own counts take the place of its messages', () => {
  const captured = document.cases[5];
  const kv = stage({ decodeBlocks: 0.5 }, { workers: 1, dpSize: 2 });
  const roundRobin = stage({ decodeBlocks: 0.5 }, { workers: 1, dpSize: 2 });
  for (const { load: message, kv: kvStatus, round_robin: rrStatus } of captured.steps) {
    for (const { load } of [kv, roundRobin]) load(0, [message[1], message[2]], message[0]);
    if (rrStatus !== undefined) expect(roundRobin.free().length > 0).toBe(rrStatus[0] === 200);
    for (const status of kvStatus ?? []) {
      let got = 200;
      try {
        kv.scheduler.place(prompt(16));
      } catch {
        got = 529;
      }
      expect(got).toBe(status);
    }
  }
});

test('a pinned worker that is overloaded is refused while others are free', () => {
  const { scheduler, load } = stage({ decodeBlocks: 0.5 });
  load(0, [null, 600]);
  expect(scheduler.place(prompt(16)).workerId).toBe(1n);
  expect(() => scheduler.place({ ...prompt(16), constraints: { pinned: { workerId: 0n, dpRank: 0 } } })).toThrow('pinned worker 0 is overloaded');
});

test('thresholds out of range are refused in the words of the real router', () => {
  expect(() => stage({ decodeBlocks: 1.5 })).toThrow('active_decode_blocks_threshold must be between 0.0 and 1.0, got 1.5');
  expect(() => stage({ decodeBlocks: NaN })).toThrow('active_decode_blocks_threshold must be between 0.0 and 1.0, got NaN');
  expect(() => stage({ prefillFraction: -1 })).toThrow(
    'active_prefill_tokens_threshold_frac must be a finite value greater than or equal to 0.0, got -1.0',
  );
  expect(() => stage({ prefillFraction: Infinity })).toThrow('got inf');
  expect(() => stage({ prefillTokens: -1 })).toThrow('active_prefill_tokens_threshold must be a whole number, got -1');
});
