import { readFileSync } from 'node:fs';
import { decodeJson } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { ActiveSequences } from '../load/active-sequences.ts';
import { toBigints } from '../load/sequence-table.ts';
import { RankTable } from '../ranks.ts';
import { readWorkerConfig } from '../workers/worker-config.ts';
import { WorkerSet } from '../workers/worker-set.ts';
import type { Constraints } from './eligibility.ts';
import { type Placed, type PlaceRequest, Scheduler } from './scheduler.ts';
import { hashesOf, NaiveIndex } from './testing/naive-index.ts';

interface Op {
  op: string;
  worker_id?: string;
  dp_rank?: number;
  event?: any;
  request?: any;
  result?: any;
  error?: string;
  logit?: number;
  logit_3_decimals?: number;
}

const scenarios = readFileSync(new URL('../../../../vectors/kv-router/worker_selection.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => decodeJson(line) as { scenario: number; block_size: number; env: Record<string, string>; workers: any[]; ops: Op[] });

const media: Record<string, 'device' | 'host' | 'disk' | 'external'> = { GPU: 'device', CPU: 'host', DISK: 'disk', EXTERNAL: 'external' };

/** The recorded choice, among equals: the draw is steered there by asking for that rank alone. */
class Stage {
  readonly ranks = new RankTable();
  readonly workers = new WorkerSet(this.ranks);
  readonly sequences = new ActiveSequences({ clock: () => 0, ranks: this.ranks });
  readonly index = new NaiveIndex();
  readonly scheduler: Scheduler;
  readonly blockSize: number;

  constructor(scenario: (typeof scenarios)[number]) {
    this.blockSize = scenario.block_size;
    for (const worker of scenario.workers) {
      const runtime = { ...worker, data_parallel_start_rank: worker.data_parallel_start_rank ?? 0 };
      this.workers.put(BigInt(worker.worker_id), readWorkerConfig({ runtime_config: runtime }));
    }
    const env = (name: string): number | undefined => {
      const value = scenario.env[`DYN_ROUTER_${name}`];
      return value === undefined ? undefined : Number(value);
    };
    const weights = {
      overlapCredit: env('KV_OVERLAP_SCORE_CREDIT') ?? 1,
      overlapCreditDecay: env('KV_OVERLAP_SCORE_CREDIT_DECAY') ?? 0,
      prefillLoadScale: env('PREFILL_LOAD_SCALE') ?? 1,
      activeRequestWeight: env('DECODE_ACTIVE_REQUEST_WEIGHT') ?? 0,
    };
    this.scheduler = new Scheduler(
      { workers: this.workers, sequences: this.sequences },
      { blockSize: this.blockSize, weights, trackPrefillTokens: scenario.env['DYN_ROUTER_TRACK_PREFILL_TOKENS'] !== 'false' },
    );
  }

  ask(request: any): PlaceRequest {
    const { local, sequence } = hashesOf(request.token_ids, this.blockSize);
    const { routing_constraints: wanted = {}, pinned_worker: pinned, allowed_worker_ids: allowed, router_config_override: override = {} } = request;
    const constraints: Constraints = {
      ...(wanted.required_taints === undefined ? {} : { requiredTaints: wanted.required_taints }),
      ...(wanted.preferred_taints === undefined ? {} : { preferredTaints: wanted.preferred_taints }),
      ...(pinned === undefined ? {} : { pinned: { workerId: BigInt(pinned.worker_id), dpRank: pinned.dp_rank } }),
      ...(allowed === undefined ? {} : { allowed: allowed.map(BigInt) }),
    };
    return {
      isl: request.token_ids.length,
      sequence,
      overlaps: this.index.find(local, this.ranks.count),
      constraints,
      override: {
        ...(override.track_prefill_tokens === undefined ? {} : { trackPrefillTokens: override.track_prefill_tokens }),
        ...(override.assume_kv_reuse === undefined ? {} : { assumeKvReuse: override.assume_kv_reuse }),
      },
      explain: 'receipt',
    };
  }

  /** Places as recorded: the recorded rank must be among the cheapest. */
  place(op: Op): Placed {
    const ask = this.ask(op.request);
    const free = this.scheduler.place(ask);
    const chosen = { workerId: BigInt(op.result.worker_id), dpRank: op.result.dp_rank as number };
    const costs = free.receipt?.candidates.filter((entry) => entry.eligibility === 'eligible') ?? [];
    const recorded = costs.find((entry) => entry.workerId === chosen.workerId && entry.dpRank === chosen.dpRank);
    expect(recorded?.cost).toBe(free.cost);
    expect(costs.filter(({ cost }) => cost === free.cost)).toHaveLength(free.receipt?.ties ?? 0);
    if (free.workerId === chosen.workerId && free.dpRank === chosen.dpRank) return free;
    // A pin would switch preferred taints off, so the other candidates are taken out by drawing until the tie falls right.
    for (let tries = 0; tries < 1000; tries++) {
      const again = this.scheduler.place(ask);
      if (again.workerId === chosen.workerId && again.dpRank === chosen.dpRank) return again;
    }
    throw new Error('the recorded rank is never drawn');
  }

  event({ worker_id: worker, dp_rank: dpRank, event }: Op): void {
    const rank = this.ranks.find(BigInt(worker ?? 0), dpRank ?? 0) ?? -1;
    const tier = media[event.medium ?? 'GPU'] ?? 'device';
    const unsigned = (hash: string): bigint => BigInt.asUintN(64, BigInt(hash));
    if (event.type === 'BlockRemoved') return this.index.removed(rank, tier, event.block_hashes.map(unsigned));
    const parent = event.parent_block_hash === null || event.parent_block_hash === undefined ? undefined : unsigned(event.parent_block_hash);
    const { local } = hashesOf(event.token_ids, this.blockSize);
    this.index.stored(rank, tier, { parent, local, hashes: event.block_hashes.map(unsigned) });
  }

  /** Rows as `get_overlap_scores` tells them (spec kv-router 4). */
  overlapRows(request: any): unknown[] {
    const { overlaps } = this.ask(request);
    const rows = this.workers.numbers.map((rank) => {
      const device = overlaps?.device[rank] ?? 0;
      const host = overlaps?.host[rank] ?? 0;
      const disk = (overlaps?.disk[rank] ?? 0) + (overlaps?.external[rank] ?? 0);
      return {
        worker_id: String(this.ranks.workerIdOf(rank)),
        dp_rank: this.ranks.dpRankOf(rank),
        device_blocks: device,
        host_pinned_blocks: device + host,
        disk_blocks: device + host + disk,
        host_pinned_extension_blocks: host,
        disk_extension_blocks: disk,
        shared_beyond_device_blocks: null,
      };
    });
    return sorted(rows);
  }

  loads(request?: any): unknown[] {
    const ask = request === undefined ? { isl: 0, sequence: new Uint32Array(0) } : this.ask(request);
    return this.scheduler.loads(ask).map((load) => ({
      worker_id: String(load.workerId),
      dp_rank: load.dpRank,
      potential_prefill_tokens: load.potentialPrefillTokens,
      potential_decode_blocks: load.potentialDecodeBlocks,
      active_requests: load.activeRequests,
    }));
  }
}

const byRank = (a: any, b: any): number => Number(BigInt(a.worker_id) - BigInt(b.worker_id)) || a.dp_rank - b.dp_rank;
const sorted = (rows: unknown[]): unknown[] => (rows as any[]).map((row) => ({ ...row, worker_id: String(row.worker_id) })).toSorted(byRank);

test.each(scenarios.map((scenario) => [scenario.scenario, scenario] as const))('scenario %i of 1.6.1 is decided alike', (_number, scenario) => {
  const stage = new Stage(scenario);
  for (const op of scenario.ops) {
    switch (op.op) {
      case 'kv_event':
        stage.event(op);
        break;
      case 'select':
      case 'select_and_reserve': {
        if (op.error !== undefined) {
          expect(() => stage.scheduler.place(stage.ask(op.request))).toThrow(op.error.replace('SelectionServiceError: ', ''));
          break;
        }
        const placed = stage.place(op);
        if (op.logit !== undefined) expect(placed.cost).toBe(op.logit);
        if (op.logit_3_decimals !== undefined) expect(Math.abs(placed.cost - op.logit_3_decimals)).toBeLessThan(0.000_501);
        expect(placed.effectivePrefillTokens).toBe(op.result.effective_prefill_tokens);
        expect(placed.potentialDecodeBlocks).toBe(op.result.potential_decode_blocks);
        if (op.result.sequence_hashes !== undefined && op.request.router_config_override?.assume_kv_reuse !== false) {
          expect(toBigints(placed.sequence).map((hash) => BigInt.asIntN(64, hash))).toEqual(op.result.sequence_hashes.map(BigInt));
        }
        if (op.op === 'select_and_reserve') stage.scheduler.book(op.request.selection_id, placed);
        break;
      }
      case 'loads':
        expect(sorted(stage.loads())).toEqual(sorted(op.result[0]?.loads ?? []));
        break;
      case 'potential_loads':
        expect(sorted(stage.loads(op.request))).toEqual(sorted(op.result));
        break;
      case 'overlap_scores':
        expect(stage.overlapRows(op.request)).toEqual(sorted(op.result.workers));
        break;
      case 'add_output_block':
        stage.sequences.addOutputBlock(op.request.selection_id, op.request.decay_fraction ?? undefined);
        break;
      case 'prefill_complete':
        stage.sequences.prefillDone(op.request);
        break;
      case 'free_reservation':
        stage.sequences.free(op.request);
        break;
      default:
        throw new Error(`unknown step ${op.op}`);
    }
  }
});
