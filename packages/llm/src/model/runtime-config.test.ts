import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ModelRuntimeConfig } from './runtime-config.ts';

const vectors = JSON.parse(readFileSync(new URL('../../../../vectors/llm/registration/cards.json', import.meta.url), 'utf8')) as any[];
const captured = vectors.flatMap((row) =>
  (row.entries ?? []).map((entry: any) => [row.name as string, entry.value.card_json.runtime_config] as const),
);

test.each(captured)('the configuration of card %s is read and written unchanged, order included', (_name, wire) => {
  expect(JSON.stringify(ModelRuntimeConfig.fromWire(wire).toWire())).toBe(JSON.stringify(wire));
});

test('every setting of the fullest card has its name', () => {
  const [, wire] = captured.find(([name]) => name === 'full_runtime')!;
  expect(ModelRuntimeConfig.fromWire(wire).options).toEqual({
    contextLength: 100,
    kvBlocks: 5,
    sequences: 2,
    batchedTokens: 64,
    toolParser: 'hermes',
    reasoningParser: 'qwen3',
    dropUnusedTools: false,
    dataParallelStart: 1,
    dataParallelSize: 4,
    localIndexer: false,
    engineData: { k1: { a: 1 } },
    bootstrap: { host: 'h', port: 1234 },
    eagle: true,
    taints: ['t1', 'dynamo.topology/zone=z1'],
    stableId: 'sr',
    topology: { zone: 'z1' },
  });
});

test('built from options it is what the same worker of the real system writes', () => {
  const [, wire] = captured.find(([name]) => name === 'full_runtime')!;
  const { options } = ModelRuntimeConfig.fromWire(wire);
  const { kv_transfer_domain: _domain, kv_transfer_enforcement: _enforcement, ...named } = wire;
  expect(JSON.stringify(new ModelRuntimeConfig(options).toWire())).toBe(JSON.stringify(named));
  expect(new ModelRuntimeConfig().toWire()).toEqual(captured.find(([name]) => name === 'minimal')![1]);
});

test('a change keeps the rest, unknown members too, and leaves the original alone', () => {
  const before = ModelRuntimeConfig.fromWire({ max_num_seqs: 2, taints: ['a'], newer: { x: 1 } });
  const after = before.with({ taints: ['b'], sequences: undefined, contextLength: 7 });
  expect(after.toWire()).toMatchObject({ context_length: 7, max_num_seqs: null, taints: ['b'], newer: { x: 1 } });
  expect(before.toWire()).toMatchObject({ max_num_seqs: 2, taints: ['a'] });
  expect(before.toWire()).not.toHaveProperty('context_length');
});

test('members of a wrong type count as unset', () => {
  const config = ModelRuntimeConfig.fromWire({
    total_kv_blocks: '5',
    taints: 'a',
    runtime_data: [1],
    disaggregated_endpoint: { bootstrap_host: 1 },
    enable_eagle: null,
  });
  expect(config.options).toEqual({});
  expect([config.kvTokens(16), config.with({ kvBlocks: 3 }).kvTokens(16)]).toEqual([undefined, 48]);
});
