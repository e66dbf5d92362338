import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DynamoError, errorTable } from './error.ts';

const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');

test('the table and the page name the same codes', () => {
  expect([...page.matchAll(/^### (\w+)$/gm)].map((match) => match[1]).toSorted()).toEqual(Object.keys(errorTable).toSorted());
});

test.each(Object.entries(errorTable))('the page tells what the table says of %s', (code, row) => {
  const section = page.split(`### ${code}\n`)[1]?.split('\n### ')[0] ?? '';
  expect(section).toContain(`HTTP ${row.httpStatus} · wire class \`${row.class}\`, reason \`${row.reason}\``);
  expect(section).toContain(row.retryable ? '· retryable' : '· not retryable');
});

test('errors of another installed copy are recognised, anything thrown is turned into one', () => {
  expect(DynamoError.is(new DynamoError('cancelled', 'x'), 'unknown')).toBe(false);
  expect(DynamoError.is(new Error('x'))).toBe(false);
  expect(DynamoError.from(AbortSignal.abort().reason)).toMatchObject({ code: 'cancelled' });
  expect(DynamoError.from('text')).toMatchObject({ code: 'unknown', message: 'text' });
});
