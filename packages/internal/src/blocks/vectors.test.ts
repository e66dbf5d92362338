import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BlockHasher } from './block-hasher.ts';
import { FrequencyFilter } from './frequency-filter.ts';
import { type HostLayout, type Layout, layoutOf, offsetOf } from './layout.ts';
import { TierPool } from './tier-pool.ts';

const vectors = <Value>(name: string): Value =>
  JSON.parse(readFileSync(new URL(`../../../../vectors/block-manager/${name}.json`, import.meta.url), 'utf8')) as Value;

interface LayoutRow {
  config: {
    num_blocks: number;
    num_layers: number;
    outer_dim: number;
    page_size: number;
    inner_dim: number;
    dtype_width_bytes: number;
    alignment: number;
  };
  region_bytes: number;
  [layout: string]: unknown;
}

interface LaidOut {
  block_stride: number;
  layer_stride?: number;
  outer_stride: number;
  data_bytes?: number;
  allocation_bytes?: number;
  bytes_per_layer?: number;
  offsets: [number, number, number, number][];
}

const layoutNames: Record<string, HostLayout> = {
  fully_contiguous: 'contiguous',
  layer_separate_outer_contiguous: 'layers_outer_contiguous',
  layer_separate_block_contiguous: 'layers_block_contiguous',
};

test('blocks lie where the vectors say', () => {
  const rows = vectors<LayoutRow[]>('layouts');
  let checked = 0;
  for (const row of rows) {
    const { config } = row;
    const dataType = ({ 1: 'u8', 2: 'fp16', 4: 'fp32', 8: 'u64' } as const)[config.dtype_width_bytes];
    if (dataType === undefined) throw new Error(`no type of ${config.dtype_width_bytes} bytes`);
    const shape = {
      layers: config.num_layers,
      pageSize: config.page_size,
      innerDim: config.inner_dim,
      outerDim: config.outer_dim,
      dataType,
      alignment: config.alignment,
    };
    for (const [name, kind] of Object.entries(layoutNames)) {
      const layout = layoutOf(shape, config.num_blocks, kind);
      expect(layout.regionBytes).toBe(row.region_bytes);
      check(layout, row[name] as LaidOut);
      checked++;
    }
  }
  expect(checked).toBe(rows.length * 3);
});

function check(layout: Layout, wanted: LaidOut): void {
  expect(layout).toMatchObject({ blockStride: wanted.block_stride, outerStride: wanted.outer_stride });
  if (wanted.layer_stride !== undefined) expect(layout.layerStride).toBe(wanted.layer_stride);
  if (wanted.allocation_bytes !== undefined) expect(layout.allocationBytes).toBe(wanted.allocation_bytes);
  expect(layout.dataBytes).toBe(wanted.data_bytes ?? wanted.bytes_per_layer);
  for (const [block, layer, outer, offset] of wanted.offsets) expect(offsetOf(layout, block, layer, outer)).toBe(offset);
}

test('blocks and requests have the hashes of the vectors', () => {
  const { sequences, request_salts: salts } = vectors<{
    sequences: { salt_hash: string; block_size: number; tokens: number[]; blocks: [string, string][] }[];
    request_salts: Record<string, string>;
  }>('hashes');
  for (const { salt_hash: salt, block_size: size, tokens, blocks } of sequences)
    expect(new BlockHasher(size).chain(Uint32Array.from(tokens), BigInt(salt)).map((pair) => pair.map(String))).toEqual(blocks);
  const hasher = new BlockHasher(4);
  for (const [text, hash] of Object.entries(salts)) {
    const { salt, lora_name: loraName } = JSON.parse(text) as { salt?: string; lora_name?: string };
    const options = { ...(salt === undefined ? {} : { salt }), ...(loraName === undefined ? {} : { loraName }) };
    expect(hasher.saltHash(options)).toBe(BigInt(hash));
    const seeded = sequences.find(({ salt_hash: seed }) => seed === hash);
    if (seeded !== undefined)
      expect(hasher.blocks(seeded.tokens, options).map((block) => [`${block.blockHash}`, `${block.sequenceHash}`])).toEqual(seeded.blocks);
  }
});

test('a sequence goes on after a block of it as if it had been hashed at once', () => {
  const hasher = new BlockHasher(2);
  const whole = hasher.blocks([1, 2, 3, 4, 5, 6], { salt: 's' });
  const [first] = whole;
  expect(hasher.blocks([3, 4, 5, 6, 7], { salt: 's' }, first)).toEqual(whole.slice(1));
  expect(() => hasher.blocks([3, 4], { salt: 'other' }, first)).toThrow('no sequence');
});

test('the filter lets through and forgets as the vectors say', () => {
  const scripts = vectors<{ min_offload_frequency: number; steps: { op: string; sequence_hash?: number; result?: boolean }[] }[]>('frequency_filter');
  expect(scripts.length).toBeGreaterThan(0);
  for (const { min_offload_frequency: minimum, steps } of scripts) {
    const filter = new FrequencyFilter({ minimum, now: () => 0 });
    for (const [at, step] of steps.entries()) {
      if (step.op === 'decay') filter.decay();
      else if (step.op === 'should_offload') expect([at, filter.shouldOffload(BigInt(step.sequence_hash ?? 0))]).toEqual([at, step.result]);
      else throw new Error(`unknown step ${step.op}`);
    }
  }
});

test('the filter forgets by the clock and keeps no more than its share', () => {
  let now = 0;
  const filter = new FrequencyFilter({ now: () => now, entries: 3 });
  expect([filter.shouldOffload(1n), filter.shouldOffload(1n)]).toEqual([false, true]);
  now = 1_200_000;
  expect(filter.shouldOffload(1n)).toBe(false);
  for (const hash of [1n, 1n, 2n, 3n, 4n]) filter.shouldOffload(hash);
  expect(filter.size).toBe(1);
});

interface PoolStep {
  op: string;
  count?: number;
  blocks?: number[];
  evicted?: string[];
  error?: string;
  block?: number;
  sequence_hash?: string;
  sequence_hashes?: string[];
  priority?: number;
  primary?: number;
  outcome?: string;
  status: { active: number; inactive: number; empty: number };
}

test('pools hand out, share, find and forget blocks as the vectors say', () => {
  const scripts = vectors<{ num_blocks: number; steps: PoolStep[] }[]>('pool_scripts');
  for (const [script, { num_blocks: blocks, steps }] of scripts.entries()) {
    const evicted: string[] = [];
    const pool = new TierPool(blocks, (_, hash) => evicted.push(String(hash)));
    for (const [at, step] of steps.entries()) {
      evicted.length = 0;
      expect([script, at, run(pool, step)]).toEqual([script, at, wantedOf(step)]);
      if (step.op === 'allocate' && step.error === undefined) expect([script, at, evicted]).toEqual([script, at, step.evicted]);
      expect([script, at, pool.status]).toEqual([script, at, step.status]);
    }
  }
});

function run(pool: TierPool, step: PoolStep): unknown {
  const hash = BigInt(step.sequence_hash ?? 0);
  switch (step.op) {
    case 'allocate':
      try {
        return pool.allocate(step.count ?? 0);
      } catch (error) {
        return (error as Error).message;
      }
    case 'register': {
      const result = pool.register(step.block ?? -1, hash, step.priority ?? 0);
      if (result.outcome !== 'stored') pool.drop(step.block ?? -1);
      return result;
    }
    case 'release':
      return pool.release(pool.find(hash) ?? -1);
    case 'match':
      return pool.match((step.sequence_hashes ?? []).map(BigInt));
    case 'drop_mutable':
      return pool.drop(step.block ?? -1);
    default:
      throw new Error(`unknown step ${step.op}`);
  }
}

function wantedOf(step: PoolStep): unknown {
  if (step.op === 'register') return { primary: step.primary, outcome: step.outcome };
  return step.error ?? step.blocks;
}
