import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { findPython } from './python.ts';
import { unicodeTables } from './unicode-tables.ts';

const found = findPython();
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const committed = new URL('../../packages/llm/src/tokenizer/byte-level-bpe/unicode-tables.ts', import.meta.url);

/** Formatting is none of the generator's business. */
const bare = (source: string): string => source.replace(/[\s,]+/g, '');

test.skipIf('missing' in found)('the committed Unicode tables are those of the reference tokenizer', { timeout: 120_000 }, async () => {
  const tables = await unicodeTables('path' in found ? found.path : '');
  if (process.env['UPDATE_TABLES'] !== undefined) writeFileSync(committed, tables);
  expect(bare(tables)).toBe(bare(readFileSync(committed, 'utf8')));
});
