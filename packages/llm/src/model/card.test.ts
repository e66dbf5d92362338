import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { float } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
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

test('a folder that is missing or holds no model is named', async () => {
  await expect(cardFromDirectory('/nowhere')).rejects.toMatchObject({ code: 'not_found', message: "model folder '/nowhere' does not exist" });
  await expect(cardFromDirectory(fileURLToPath(registration))).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('has no config.json'),
  });
  expect(slugOf('chars Weird/Name_1.0')).toBe('chars_weird_name_1_0');
});
