import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DynamoError, type DynamoErrorCode, errorTable, isRetryable } from './error.ts';

const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');

test('the table and the page name the same codes', () => {
  expect([...page.matchAll(/^### (\w+)$/gm)].map((match) => match[1]).toSorted()).toEqual(Object.keys(errorTable).toSorted());
});

test.each(Object.entries(errorTable))('the page tells what the table says of %s', (code, row) => {
  const section = page.split(`### ${code}\n`)[1]?.split('\n### ')[0] ?? '';
  expect(section).toContain(`HTTP ${row.httpStatus} · wire class \`${row.class}\`, reason \`${row.reason}\``);
  const backend = row.backendReason === undefined || row.backendReason === row.reason ? '' : ` (from a backend \`${row.backendReason}\`)`;
  expect(section).toContain(`reason \`${row.reason}\`${backend} ·`);
  expect(section.split('\n\n')[1]?.length).toBeGreaterThan(20);
  expect(section).toContain(row.retryable ? '· retryable' : '· not retryable');
});

test('errors of another installed copy are recognised, anything thrown is turned into one', () => {
  expect(DynamoError.is(new DynamoError('cancelled', 'x'), 'unknown')).toBe(false);
  expect(DynamoError.is(new Error('x'))).toBe(false);
  expect(DynamoError.from(AbortSignal.abort().reason)).toMatchObject({ code: 'cancelled' });
  expect(DynamoError.from('text')).toMatchObject({ code: 'unknown', message: 'text' });
});

test('the page names no reason or code that the table does not have', () => {
  const known = new Set([...Object.keys(errorTable), ...Object.values(errorTable).flatMap((row) => [row.reason, row.backendReason])]);
  const named = [...page.matchAll(/`((?:request|transport|backend|capacity|runtime)\.\w+|[a-z]+_[a-z_]+)`/g)].map((match) => match[1]);
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test.each([
  ['cannot_connect', true, false],
  ['disconnected', true, false],
  ['connection_timeout', true, false],
  ['response_timeout', true, false],
  ['worker_overloaded', true, false],
  ['worker_unavailable', true, true],
  ['engine_shutdown', true, true],
  ['stream_incomplete', true, true],
] as const)('another instance may be tried after %s: %s, from a backend: %s', (code, local, backend) => {
  expect(isRetryable(new DynamoError(code, 'x'))).toBe(local);
  expect(isRetryable(new DynamoError(code, 'x', { origin: 'backend' }))).toBe(backend);
  expect(isRetryable(new DynamoError('unknown', 'outer', { cause: new DynamoError(code, 'x') }))).toBe(local);
  for (const final of ['cancelled', 'resource_exhausted'] as const) {
    expect(isRetryable(new DynamoError(code, 'x', { cause: new DynamoError(final, 'y') }))).toBe(false);
    expect(isRetryable(new DynamoError(final, 'x', { cause: new DynamoError(code, 'y') }))).toBe(false);
  }
});

test('no other code allows another try, nor does anything that is no DynamoError', () => {
  const codes = (Object.keys(errorTable) as DynamoErrorCode[]).filter((code) => isRetryable(new DynamoError(code, 'x')));
  expect(codes).toHaveLength(8);
  const endless = new DynamoError('unknown', 'x');
  Object.defineProperty(endless, 'cause', { value: endless });
  for (const other of [new Error('x'), undefined, 'text', endless]) expect(isRetryable(other)).toBe(false);
});
