import { JsonReader } from '@dynamo/runtime/internal';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { inOrder, outcomeOf, wireOf, wireText } from './testing/cases.ts';

/**
 * Bodies sent to the frontend of 1.6.1, and what came of them: status and message, or what the worker received without
 * what every request has. Model `tok` has no parsers, `both` has hermes and qwen3, `r-NAME` the reasoning parser NAME.
 */
const cases = readFileSync(new URL('testing/captured-1.6.1.ndjson', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => new JsonReader(line).value() as ['chat' | 'comp', string, number, unknown]);

const groups = ['stop_conditions', 'sampling_options', 'output_options'];

/** Leaves out what every request to these models has. */
function telling(wire: Record<string, unknown>): Record<string, unknown> {
  const { token_ids: _ids, mdc_sum: _sum, model: _model, router_config_override: _override, ...left } = wire;
  for (const group of groups) {
    const members = Object.entries(left[group] as object).filter(
      ([name, value]) => value !== null && !(name === 'stop_token_ids_hidden' && ends(value)),
    );
    if (members.length > 0) left[group] = Object.fromEntries(members);
    else delete left[group];
  }
  if (ends(left['eos_token_ids'])) delete left['eos_token_ids'];
  for (const name of ['annotations', 'routing']) if (Object.keys(left[name] as object).length === 0) delete left[name];
  return left;
}

const ends = (value: unknown): boolean => JSON.stringify(value) === '[258,256]';

test.each(cases)('%s %s', (kind, body, status, expected) => {
  const outcome = outcomeOf(kind, body);
  if ('request' in outcome) expect([200, wireText(telling(wireOf(outcome.request, [])))]).toEqual([status, wireText(expected)]);
  else expect([outcome.status, inOrder(outcome.message)]).toEqual([status, typeof expected === 'string' ? inOrder(expected) : expected]);
});
