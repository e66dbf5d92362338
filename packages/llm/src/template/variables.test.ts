import { readFileSync } from 'node:fs';
import { Float, JsonReader } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { templateVariables } from './variables.ts';

type Members = Record<string, unknown>;

/**
 * Spellings of thinking sent to the frontend of 1.6.1: the reasoning parser of the model, the request's members, and the
 * variables that a template printed, which were always those that the worker got too.
 */
const rows = readFileSync(new URL('testing/thinking-1.6.1.ndjson', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => new JsonReader(line).value() as [string, Members, Members]);

const names = ['thinking', 'enable_thinking', 'thinking_mode', 'reasoning_effort'];

const isConstrained = ({ response_format: format, tool_choice: choice }: Members): boolean =>
  (choice !== undefined && choice !== 'auto') || !['undefined', 'text'].includes(String((format as Members | undefined)?.['type']));

test('every spelling means what it means to 1.6.1', () => {
  const wrong: unknown[] = [];
  for (const [parser, request, expected] of rows) {
    const variables = templateVariables(request, { reasoningParser: parser || undefined, constrained: isConstrained(request) }) ?? {};
    const told = Object.fromEntries(names.filter((name) => variables[name] !== undefined).map((name) => [name, variables[name]]));
    if (text(told) !== text(expected)) wrong.push([parser, text(request), text(told), text(expected)]);
  }
  expect(wrong).toEqual([]);
  expect(rows.length).toBeGreaterThan(1_000);
});

const text = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) => {
    if (member instanceof Float) return `float ${member.value}`;
    return typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member;
  });

test('nothing asked, nothing given', () => {
  expect(templateVariables({})).toBeUndefined();
  expect(templateVariables({ chat_template_args: { a: 1 } })).toEqual({ a: 1 });
  expect(templateVariables({ thinking: { type: 'adaptive' }, chat_template_args: { enable_thinking: true } })).toEqual({ thinking_mode: 'adaptive' });
});
