import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { flowYaml } from '../queue/testing/flow-yaml.ts';
import { readPolicyConfig } from './policy-config.ts';

const vector = JSON.parse(readFileSync(new URL('../../../../vectors/kv-router/policy_classes.json', import.meta.url), 'utf8')) as any;
const read = (document: unknown) => readPolicyConfig(document, '<path>');

test.each(vector.bad_files as { yaml?: string; change?: string; error: string }[])(
  'the captured bad file fails alike: $error',
  ({ yaml, change, error }) => {
    const changed: Record<string, [string, string]> = {
      'quantum: 0': ['quantum: 4', 'quantum: 0'],
      'first min_tokens: 5': ['min_tokens: 0', 'min_tokens: 5'],
    };
    const [from, to] = changed[change ?? ''] ?? ['', ''];
    expect(() => read(flowYaml(yaml ?? vector.yaml.replace(from, to)))).toThrow(error);
  },
);

const base = `default_policy_family: std
uncached_isl_buckets:
  - {min_tokens: 0, bucket: small}
  - {min_tokens: 200, bucket: big}
policy_classes:
  - {name: std-small, policy_family: std, cache_bucket: small, quantum: 1}
  - {name: std-big, policy_family: std, cache_bucket: big, quantum: 1}
  - {name: vip, quantum: 4}
`;
const invalid = 'invalid router policy config: ';
const parse = 'failed to parse router policy config <path>: ';

// Every text was taken from the running 1.6.1, without its line numbers.
const refused: [string, string, string][] = [
  ['name: vip, quantum: 4', 'name: vip', `${parse}policy_classes[2]: missing field \`quantum\``],
  ['name: vip', 'name: std-small', `${invalid}root contains duplicate policy class "std-small"`],
  ['name: vip', 'name: std', `${invalid}root explicit policy class "std" collides with a policy family`],
  ['name: vip', "name: ''", `${invalid}root policy class name "" must match [A-Za-z0-9_.-]+`],
  [
    'quantum: 4',
    'quantum: 4, policy_family: x',
    `${invalid}root policy class "vip" must specify both policy_family and cache_bucket or neither for an explicit class`,
  ],
  ['quantum: 4', 'quantum: 4, policy_family: std, cache_bucket: nope', `${invalid}root policy class "vip" references unknown cache bucket "nope"`],
  ['quantum: 4', 'quantum: 4, policy_family: x, cache_bucket: small', `${invalid}root is missing a policy class for family "x" and bucket "big"`],
  [
    'quantum: 4',
    'quantum: 4, policy_family: std, cache_bucket: small',
    `${invalid}root contains duplicate policy classes for family "std" and bucket "small"`,
  ],
  [
    '  - {name: std-big, policy_family: std, cache_bucket: big, quantum: 1}\n',
    '',
    `${invalid}root is missing a policy class for family "std" and bucket "big"`,
  ],
  ['policy_family: std\n', 'policy_family: vip\n', `${invalid}root default_policy_family "vip" does not name a configured family`],
  ['min_tokens: 200', 'min_tokens: 0', `${invalid}root uncached_isl_buckets min_tokens must be strictly increasing`],
  ['bucket: big', 'bucket: small', `${invalid}root contains duplicate cache bucket "small"`],
  ['bucket: small', "bucket: ''", `${invalid}root cache bucket name "" must match [A-Za-z0-9_.-]+`],
  [
    'quantum: 4',
    'quantum: 4, queue_policy: nope',
    `${parse}policy_classes[2].queue_policy: unknown variant \`nope\`, expected one of \`fcfs\`, \`lcfs\`, \`wspt\``,
  ],
  ['quantum: 4', 'quantum: 4, queue_policy: lcfs', `${invalid}root policy class "vip" queue_policy must be fcfs or wspt`],
  ['quantum: 4', 'quantum: -1', `${parse}policy_classes[2].quantum: invalid type: integer \`-1\`, expected usize`],
  ['quantum: 4', 'quantum: 1.5', `${parse}policy_classes[2].quantum: invalid type: floating point \`1.5\`, expected usize`],
  [
    'quantum: 4',
    'quantum: 4, prefill_busy_threshold_frac: -1',
    `${invalid}root policy class "vip" prefill_busy_threshold_frac must be finite and non-negative`,
  ],
  [
    'quantum: 4',
    'quantum: 4, prefill_busy_threshold_frac: .nan',
    `${invalid}root policy class "vip" prefill_busy_threshold_frac must be finite and non-negative`,
  ],
  [
    'quantum: 4',
    'quantum: 4, request_queue_limit_per_worker: -1',
    `${parse}policy_classes[2].request_queue_limit_per_worker: invalid type: integer \`-1\`, expected usize`,
  ],
];

test.each(refused)('%s → %s', (from, to, message) => {
  expect(() => read(flowYaml(base.replace(from, to)))).toThrow(message);
  expect(() => read({ models: { m: flowYaml(base.replace(from, to)) } })).toThrow(
    message.replace(`${invalid}root`, `${invalid}model "m"`).replace(`${parse}policy_classes`, `${parse}models.m.policy_classes`),
  );
});

test('documents that are no profile', () => {
  const nothing = `${invalid}router policy config must define router settings, a root profile, at least one model profile, worker_selection, or request_classifier`;
  for (const document of [undefined, null, {}, { models: {} }]) expect(() => read(document)).toThrow(nothing);
  expect(() => read([])).toThrow(`${parse}invalid type: sequence, expected struct RawRouterPolicyConfig`);
  expect(() => read({ models: { m: {} } })).toThrow(`${parse}models.m: missing field \`default_policy_family\``);
  expect(() => read({ models: { m: { foo: 1 } } })).toThrow(
    `${parse}models.m: unknown field \`foo\`, expected one of \`default_policy_family\`, \`policy_classes\`, \`uncached_isl_buckets\``,
  );
  expect(() => read({ router: { x: 1 } })).toThrow(`${invalid}unknown router setting: x`);
  expect(() => read({ worker_selection: {} })).toThrow(
    `${invalid}worker_selection must define an instance or an aggregated, prefill, decode, or encode selection`,
  );
  expect(() => read({ worker_selection: { instances: [{ name: 'a' }] } })).toThrow(`${parse}worker_selection.instances[0]: missing field \`type\``);
  expect(() => read({ worker_selection: { instances: [{ name: 'default', type: 'x' }] } })).toThrow(
    `${invalid}worker_selection instance name 'default' is reserved for Dynamo's built-in selector`,
  );
  expect(() => read({ request_classifier: {} })).toThrow(`${parse}request_classifier: missing field \`type\``);
  expect(() => read({ request_classifier: { type: 'a', x: 1 } })).toThrow(
    `${parse}request_classifier: unknown field \`x\`, expected \`type\` or \`parameters\``,
  );
  expect(() => read({ request_classifier: { type: 'default' } })).toThrow(`${invalid}request_classifier type 'default' is reserved`);
});

test('a whole file is read', () => {
  const config = read({
    ...flowYaml(base),
    router: { router_ttl_secs: 5 },
    worker_selection: { decode: 'a', instances: [{ name: 'a', type: 'load-only' }] },
  });
  expect(config.root?.classes.map(({ name }) => name)).toEqual(['std-small', 'std-big', 'vip']);
  expect(config).toMatchObject({
    router: { router_ttl_secs: 5 },
    selection: { decode: 'a' },
    selectors: [{ name: 'a', type: 'load-only', parameters: {} }],
  });
  expect(read({ router: {} }).root).toBeUndefined();
});
