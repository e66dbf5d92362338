import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeModel, encodeModel, float } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { adapterCard } from './adapter-card.ts';
import { cardFromDirectory, slugOf } from './card.ts';
import { cardChecksum } from './checksum.ts';

const registration = new URL('../../../../vectors/llm/registration/', import.meta.url);
const tiny = fileURLToPath(new URL('../../../../vectors/llm/model-tiny', import.meta.url));

/** Keeps `1.0` apart from `1`, as the checksum of a router configuration does. */
const read = (name: string): any =>
  JSON.parse(readFileSync(new URL(name, registration), 'utf8'), (_key, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source?.includes('.') === true ? float(value) : value,
  );

const sums = read('mdcsum.json') as { name: string; card: any; mdcsum: string; slug_dir: string }[];

test.each(sums.map((row) => [row.name, row] as const))('checksum of card %s', async (_name, { card, mdcsum, slug_dir: slug }) => {
  expect(await cardChecksum(card)).toBe(mdcsum);
  expect(card.slug).toBe(slug);
});

test('the card of a folder is the one that the real registration writes, member for member', async () => {
  const [minimal] = read('cards.json') as { entries: { value: { card_json: unknown } }[] }[];
  const card = await cardFromDirectory(tiny, { name: 'minimal', surfaces: ['chat'] });
  expect(JSON.stringify(card).replaceAll(tiny, '<MODEL>')).toBe(JSON.stringify(minimal?.entries[0]?.value.card_json));
});

test('aliases and user data stand where the real one has them', async () => {
  const row = (read('cards.json') as any[]).find(({ name }) => name === 'userdata_alias_template');
  const expected = row.entries[0].value.card_json;
  delete expected.chat_template_file;
  const card = await cardFromDirectory(tiny, { name: expected.display_name, surfaces: ['chat'], aliases: ['al1', 'al2'], userData: { x: [1] } });
  expect(JSON.stringify(card).replaceAll(tiny, '<MODEL>')).toBe(JSON.stringify(expected));
});

test.each([
  ['text', { input: 'text' }],
  ['embedding', { surfaces: ['embedding'] }],
  ['classify_pooling', { input: 'text', surfaces: ['pooling', 'classify'] }],
  ['rerank', { input: 'text', surfaces: ['rerank'] }],
] as const)('a card of kind %s is the one that the real registration writes, member for member', async (name, options) => {
  const row = (read('cards.json') as any[]).find((candidate) => candidate.name === name);
  const card = await cardFromDirectory(tiny, { name, ...options });
  expect(JSON.stringify(card).replaceAll(tiny, '<MODEL>')).toBe(JSON.stringify(row.entries[0].value.card_json));
});

test('the card of a model of tensors is the one that the real registration writes, member for member', async () => {
  const expected = (read('cards.json') as any[]).find(({ name }) => name === 'tensor').entries[0].value.card_json;
  // Ours calls the configuration after the model, and gives its tensors no parameters.
  expected.tensor_model_config.name = 'tensor';
  for (const tensor of expected.tensor_model_config.inputs) delete tensor.parameters;
  const inputs = [{ name: 'x', datatype: 'INT32', shape: [-1] }] as const;
  const outputs = [{ name: 'y', datatype: 'BYTES', shape: [1] }] as const;
  const card = await cardFromDirectory('<MODEL>', { name: 'tensor', input: 'tensor', tensors: { inputs, outputs } });
  expect(JSON.stringify(card)).toBe(JSON.stringify(expected));
  await expect(
    cardFromDirectory('x', { input: 'tensor', tensors: { inputs: [{ ...inputs[0], datatype: 'INT4' as never }], outputs } }),
  ).rejects.toMatchObject({
    code: 'invalid_argument',
    message: "tensors: 'x' has the unknown datatype 'INT4'",
  });
});

test('the record of an adapter is the one that the real registration writes, member for member', async () => {
  const row = (read('cards.json') as any[]).find((candidate) => candidate.name === 'lora').entries[0];
  const base = await cardFromDirectory(tiny, { name: 'base', surfaces: ['chat'], aliases: ['b'], userData: 7 });
  const card = adapterCard(base, { name: 'my-lora', slots: 2 });
  const { namespace, component, endpoint } = row.value;
  const record = encodeModel({ namespace, component, endpoint, id: 1n, card: { ...card }, suffix: card.slug });
  expect(record.value.replaceAll(tiny, '<MODEL>')).toBe(JSON.stringify(row.value));
  expect(`${record.bucket}/${encodeURIComponent(record.key).replaceAll('-', '%2D')}`).toBe(row.key.replace('<instance-hex>', '1'));
  expect(decodeModel(record)).toEqual({ namespace, component, endpoint, id: 1n, card: JSON.parse(JSON.stringify(card)), suffix: 'my-lora' });
  const sum = sums.find(({ name }) => name === 'my-lora');
  expect(await cardChecksum(JSON.parse(JSON.stringify(card).replaceAll(tiny, '<MODEL>')))).toBe(sum?.mdcsum);
});

test("a template of the operator's own is named as such", async () => {
  const file = (read('cards.json') as any[]).find(({ name }) => name === 'userdata_alias_template').entries[0].value.card_json.chat_template_file;
  const path = fileURLToPath(new URL('../../../../vectors/llm/README.md', import.meta.url));
  const card = await cardFromDirectory(tiny, { chatTemplate: path });
  expect(Object.keys(card.chat_template_file?.hf_chat_template ?? {})).toEqual(Object.keys(file.hf_chat_template));
  expect(card.chat_template_file).toMatchObject({ hf_chat_template: { is_custom: true, file: { path } } });
  await expect(cardFromDirectory(tiny, { chatTemplate: '/nowhere.jinja' })).rejects.toMatchObject({ code: 'not_found' });
});

test('what a real frontend would stumble over is refused', async () => {
  const refused = (options: object, message: string): Promise<void> =>
    expect(cardFromDirectory(tiny, options)).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(message) });
  await refused({ surfaces: ['classify', 'chat'] }, "'classify' can't be offered with input 'tokens'");
  await refused({ surfaces: [] }, 'at least one');
  await refused({ surfaces: ['songs'] }, "'songs' is unknown");
  await refused({ input: 'tensor', surfaces: ['chat'] }, "'chat' can't be offered with input 'tensor'");
  await refused({ input: 'air' }, "input 'air'");
});

test('a folder that is missing or holds no model is named', async () => {
  await expect(cardFromDirectory('/nowhere')).rejects.toMatchObject({ code: 'not_found', message: "model folder '/nowhere' does not exist" });
  await expect(cardFromDirectory(fileURLToPath(registration))).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('has no config.json'),
  });
  const file = fileURLToPath(new URL('cards.json', registration));
  await expect(cardFromDirectory(file)).rejects.toMatchObject({ code: 'invalid_argument', message: `model folder '${file}' is not a folder` });
  expect(slugOf('chars Weird/Name_1.0')).toBe('chars_weird_name_1_0');
});

test.each([
  ['{bad', 'is not JSON'],
  ['null', 'is no JSON object'],
  ['[]', 'is no JSON object'],
])('a config.json of %s is named', async (text, problem) => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'dynamo-card-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'config.json');
  await writeFile(path, text);
  await expect(cardFromDirectory(folder)).rejects.toMatchObject({ code: 'invalid_argument', message: `${path} ${problem}` });
});
