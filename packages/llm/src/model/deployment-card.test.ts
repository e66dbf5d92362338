import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { mem } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { ModelDeploymentCard } from './deployment-card.ts';

const folder = new URL('../../../../vectors/llm/registration/', import.meta.url);
const tiny = fileURLToPath(new URL('../../../../vectors/llm/model-tiny', import.meta.url));
const text = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
const captured = JSON.parse(text('cards.json')) as any[];
/** The card's own text, cut out so that no parser has touched its numbers. */
const sums = (
  JSON.parse(text('mdcsum.json'), (key, value: unknown, context?: { source?: string }) =>
    key !== 'mdcsum' && typeof value === 'number' && context?.source !== undefined ? (JSON as any).rawJSON(context.source) : value,
  ) as any[]
).map((row) => [row.name as string, JSON.stringify(row.card), row] as const);

test.each(sums)('card %s is read from its text, with its checksum and slug, and written back unchanged', async (_name, json, row) => {
  const card = ModelDeploymentCard.fromJson(json);
  expect(await card.mdcsum()).toBe(row.mdcsum);
  expect(card.slug).toBe(row.slug_dir);
  expect(JSON.parse(card.toJson())).toEqual(JSON.parse(json));
});

test('a card of a folder says what a planner asks', async () => {
  const card = await ModelDeploymentCard.fromDirectory(tiny, { name: 'Tiny/1.0', contextLength: 100, blockSize: 32, capacity: { kvBlocks: 5 } });
  expect([card.name, card.slug, card.contextLength, card.blockSize, card.role]).toEqual(['Tiny/1.0', 'tiny_1_0', 100, 32, 'aggregated']);
  expect(card.surfaces).toEqual(['Chat', 'Completions']);
  expect(card.runtimeConfig.kvTokens(card.blockSize)).toBe(160);
  expect(await card.mdcsum()).toMatch(/^[0-9a-f]{64}$/);
  expect(await ModelDeploymentCard.fromJson(card.toJson()).mdcsum()).toBe(await card.mdcsum());
});

test('a limit of the worker stands where the real one has it: first', async () => {
  const card = await ModelDeploymentCard.fromDirectory(tiny, { contextLength: 100 });
  expect(Object.keys(card.wire.runtime_config).slice(0, 2)).toEqual(['context_length', 'total_kv_blocks']);
});

test('the least card reads, and what is none is refused', () => {
  const card = ModelDeploymentCard.fromJson({ display_name: 'Old One' });
  expect([card.slug, card.aliases, card.contextLength, card.surfaces, card.runtimeConfig.options]).toEqual(['old_one', [], 0, [], {}]);
  for (const bad of ['{', '[]', 'null', '{"display_name":1}', '7'])
    expect(() => ModelDeploymentCard.fromJson(bad)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
});

test('cards are found by scope, with the instance that published them', async () => {
  await using discovery = mem();
  const card = captured.find((row) => row.name === 'router_config').entries[0].value.card_json;
  const publish = (namespace: string, component: string, id: string): Promise<AsyncDisposable> =>
    discovery.put({
      bucket: 'v1/mdc',
      key: `${namespace}/${component}/generate/${BigInt(id).toString(16)}`,
      value: `{"type":"Model","namespace":"${namespace}","component":"${component}","endpoint":"generate","instance_id":${id},"card_json":${JSON.stringify(card)}}`,
    });
  await publish('ns', 'backend', '13460124263968220085');
  await publish('ns', 'backend2', '7');
  await discovery.put({ bucket: 'v1/mdc', key: 'ns/backend/generate/bad', value: '{"type":"Model"}' });
  const found = await ModelDeploymentCard.list({ discovery }, { namespace: 'ns', component: 'backend' });
  expect(found).toMatchObject([{ namespace: 'ns', component: 'backend', endpoint: 'generate', instance: 13460124263968220085n }]);
  expect(found[0]?.card.name).toBe('router_config');
  expect(await ModelDeploymentCard.list({ discovery }, { namespace: 'ns' })).toHaveLength(2);
});
