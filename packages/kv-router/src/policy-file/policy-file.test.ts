import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveOptions } from '../options.ts';
import { applyPolicy } from './apply-policy.ts';
import { loadPolicyFile } from './load-policy.ts';

const vector = JSON.parse(await readFile(new URL('../../../../vectors/kv-router/policy_classes.json', import.meta.url), 'utf8')) as { yaml: string };
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'policies-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(text: string): Promise<string> {
  const path = join(folder, 'policy.yaml');
  await writeFile(path, text);
  return path;
}

test('the captured file is read, and its classes are those of every model', async () => {
  const policies = await loadPolicyFile(await file(vector.yaml));
  const { profile } = resolveOptions({ blockSize: 16, model: 'any', policies });
  expect(profile.classes.map(({ name, busyTokens, quantum }) => [name, busyTokens, quantum])).toEqual([
    ['std-small', 5, 1],
    ['std-big', 5, 1],
    ['vip', 5, 4],
  ]);
});

const selection = (instance: string): string => `worker_selection:\n  decode: mine\n  instances:\n    - ${instance}\n`;

test('its settings win over flags, for the roles that they are for', async () => {
  const text = `router:\n  router_replica_sync: true\n${selection('{name: mine, type: dynamo-default-cost-fn, parameters: {overlap_score_credit: 0.5, router_temperature: 0.25}}')}`;
  const policies = await loadPolicyFile(await file(text));
  expect(applyPolicy(policies, { model: 'm', role: 'prefill' }).settings).toEqual({ replicaSync: true });
  const { settings } = resolveOptions({ blockSize: 16, role: 'decode', policies, settings: { overlapCredit: 2, replicaSync: false } });
  expect(settings).toMatchObject({ overlapCredit: 0.5, temperature: 0.25, replicaSync: true });
});

test.each([
  ['router: [', 'failed to parse router policy config'],
  ['a: 1\na: 2', 'failed to parse router policy config'],
  [selection('{name: mine, type: foo}'), 'unknown worker-selection policy type "foo"; linked policy types: dynamo-default-cost-fn'],
  [
    selection('{name: mine, type: dynamo-default-cost-fn, parameters: {foo: 1}}'),
    'invalid parameters for worker-selection policy type "dynamo-default-cost-fn": unknown field `foo`, expected one of `overlap_score_credit`',
  ],
  [
    selection('{name: mine, type: dynamo-default-cost-fn, parameters: {overlap_score_credit: -1}}'),
    'invalid parameters for worker-selection policy type "dynamo-default-cost-fn": overlap_score_credit must be',
  ],
])('%j is no policy file: %s', async (text, message) => {
  await expect(loadPolicyFile(await file(text))).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(message) });
});

test('a file that is not there is named', async () => {
  await expect(loadPolicyFile('/nowhere/policy.yaml')).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('failed to read router policy config /nowhere/policy.yaml'),
  });
});

test('aliases that multiply are refused', async () => {
  const bomb = `a: &a [1, 1]\n${Array.from(
    { length: 9 },
    (_, level) =>
      `b${level}: &b${level} [${Array(9)
        .fill(level === 0 ? '*a' : `*b${level - 1}`)
        .join(', ')}]`,
  ).join('\n')}`;
  await expect(loadPolicyFile(await file(bomb))).rejects.toThrow();
});
