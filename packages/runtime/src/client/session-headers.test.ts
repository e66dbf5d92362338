import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { sessionOf } from './affinity.ts';

interface Case {
  readonly header?: string;
  readonly binds?: boolean;
  readonly precedence?: readonly string[];
  readonly id?: string;
  readonly id_bytes?: number;
  readonly status?: number;
}
const vector = readFileSync(new URL('../../../../vectors/kv-router/session_affinity.json', import.meta.url), 'utf8');
const { cases } = JSON.parse(vector) as { cases: readonly Case[] };

test('the headers that name a session on the real frontend do so here, and no others', () => {
  const seen = cases.filter(({ binds }) => binds !== undefined);
  expect(seen).toHaveLength(6);
  for (const { header, binds } of seen) expect(sessionOf({ headers: { [header ?? '']: 's1' } })).toBe(binds === true ? 's1' : undefined);
  const order = cases.find(({ precedence }) => precedence !== undefined)?.precedence ?? [];
  for (const [at, header] of order.entries()) {
    const weaker = Object.fromEntries(order.slice(at + 1).map((name) => [name, 'weaker']));
    expect(sessionOf({ headers: { ...weaker, [header]: 'stronger' } })).toBe('stronger');
  }
});

test('ids that the real frontend refuses or takes for none', () => {
  for (const { id, id_bytes: bytes, status } of cases) {
    const headers = { 'x-session-id': id ?? 'x'.repeat(bytes ?? 0) };
    if (status === 400 && bytes !== undefined) expect(() => sessionOf({ headers })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    else if (bytes !== undefined) expect(sessionOf({ headers })).toHaveLength(bytes);
    else if (id !== undefined) expect(sessionOf({ headers })).toBeUndefined();
  }
});
