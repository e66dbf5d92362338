import { DynamoError } from '@dynamo/runtime';
import type { PolicyClass, PolicyProfile } from '../queue/policy-classes.ts';
import { object, type Wire } from './members.ts';
import { checkProfile, invalid } from './policy-check.ts';
import { partialSettings } from './read-settings.ts';
import type { RouterSettings } from './router-settings.ts';

/** A policy file, read and checked (spec kv-router 9). */
export interface PolicyConfig {
  /** For every model that has none of its own. */
  readonly root?: PolicyProfile;
  readonly models: ReadonlyMap<string, PolicyProfile>;
  /** Settings of the router under their wire names; they win over flags. */
  readonly router?: Readonly<Record<string, unknown>>;
  /** Which selector each role uses. */
  readonly selection: Readonly<Partial<Record<SelectionRole, string>>>;
  readonly selectors: readonly { readonly name: string; readonly type: string; readonly parameters: Wire }[];
  readonly classifier?: string;
}

/** Roles that may have a selector of their own. */
export type SelectionRole = (typeof roles)[number];

const roles = ['aggregated', 'prefill', 'decode', 'encode'] as const;
const profileMembers = ['default_policy_family', 'policy_classes', 'uncached_isl_buckets'];
const rootMembers = ['router', ...profileMembers, 'models', 'worker_selection', 'request_classifier'];
const classMembers = [
  'name',
  'policy_family',
  'cache_bucket',
  'queue_policy',
  'quantum',
  'prefill_busy_threshold',
  'prefill_busy_threshold_frac',
  'request_queue_limit_per_worker',
  'raw_isl_token_queue_limit_per_worker',
  'cached_token_queue_limit_per_worker',
];
const routerMembers = new Set([
  'host_cache_hit_weight',
  'disk_cache_hit_weight',
  'use_kv_events',
  'router_replica_sync',
  'router_track_active_blocks',
  'router_track_output_blocks',
  'router_assume_kv_reuse',
  'router_track_prefill_tokens',
  'router_tracking_hash',
  'router_tracking_key_file',
  'router_tracking_key_id',
  'router_prefill_load_model',
  'router_ttl_secs',
  'router_approximate_cache_policy',
  'router_event_threads',
  'use_remote_indexer',
  'serve_indexer',
  'enable_session_prefix_index',
  'shared_cache_type',
  'router_predicted_ttl_secs',
]);

/**
 * Reads a policy file that has been parsed already (YAML or JSON).
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1, without the line numbers that it adds to some.
 */
export function readPolicyConfig(document: unknown, path: string): PolicyConfig {
  const reader = new Reader(path);
  const root =
    document === null || document === undefined
      ? {}
      : (object(document) ?? reader.unparsed('', 'invalid type: sequence, expected struct RawRouterPolicyConfig'));
  reader.onlyMembers(root, rootMembers, '');
  const named = profileMembers.filter((name) => root[name] !== undefined && root[name] !== null);
  const models = Object.entries(object(root['models']) ?? {});
  const router = object(root['router']);
  const profiles = new Map(models.map(([name, profile]) => [name, reader.modelProfile(name, object(profile) ?? {})]));
  const selection = root['worker_selection'] === undefined ? undefined : reader.selection(object(root['worker_selection']) ?? {});
  const classifier = root['request_classifier'] === undefined ? undefined : reader.classifier(root['request_classifier']);
  for (const name of Object.keys(router ?? {})) if (!routerMembers.has(name)) invalid(`unknown router setting: ${name}`);
  if (router === undefined && named.length === 0 && models.length === 0 && selection === undefined && classifier === undefined) {
    invalid('router policy config must define router settings, a root profile, at least one model profile, worker_selection, or request_classifier');
  }
  if (named.length > 0 && named.length < profileMembers.length) {
    invalid('root profile must specify default_policy_family, uncached_isl_buckets, and policy_classes when any root profile field is present');
  }
  return {
    ...(named.length === 0 ? {} : { root: checkProfile(reader.profile(root, ''), 'root') }),
    models: new Map([...profiles].map(([name, profile]) => [name, checkProfile(profile, `model "${name}"`)])),
    ...(router === undefined ? {} : { router }),
    selection: selection?.roles ?? {},
    selectors: selection?.instances ?? [],
    ...(classifier === undefined ? {} : { classifier }),
  };
}

/** The one way to rank workers that instances can be of, and its parameters under their wire names. */
const costFunction = 'dynamo-default-cost-fn';
const costParameters = [
  'overlap_score_credit',
  'overlap_score_credit_decay',
  'prefill_load_scale',
  'decode_active_request_weight',
  'host_cache_hit_weight',
  'disk_cache_hit_weight',
  'shared_cache_multiplier',
  'router_temperature',
];

/**
 * The settings that an instance of the cost function stands for.
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1, for another type, an unknown parameter or one out of range.
 */
export function defaultCostSettings({ type, parameters }: PolicyConfig['selectors'][number]): Partial<RouterSettings> {
  const bad = (message: string): DynamoError => new DynamoError('invalid_argument', message);
  if (type !== costFunction) throw bad(`unknown worker-selection policy type "${type}"; linked policy types: ${costFunction}`);
  const wrong = `invalid parameters for worker-selection policy type "${type}": `;
  for (const name of Object.keys(parameters))
    if (!costParameters.includes(name)) throw bad(`${wrong}unknown field \`${name}\`, expected ${oneOf(costParameters)}`);
  try {
    return partialSettings(parameters);
  } catch (error) {
    throw DynamoError.is(error) ? bad(`${wrong}${error.message}`) : error;
  }
}

const oneOf = (names: readonly string[]): string =>
  names.length === 2 ? names.map((name) => `\`${name}\``).join(' or ') : `one of ${names.map((name) => `\`${name}\``).join(', ')}`;

/** Reads members by their types; its errors name the place as the real parser does. */
class Reader {
  readonly #path: string;
  constructor(path: string) {
    this.#path = path;
  }

  unparsed(at: string, what: string): never {
    throw new DynamoError('invalid_argument', `failed to parse router policy config ${this.#path}: ${at === '' ? '' : `${at}: `}${what}`);
  }

  onlyMembers(wire: Wire, known: readonly string[], at: string): void {
    for (const name of Object.keys(wire)) if (!known.includes(name)) this.unparsed(at, `unknown field \`${name}\`, expected ${oneOf(known)}`);
  }

  modelProfile(name: string, wire: Wire): PolicyProfile {
    const at = `models.${name}`;
    this.onlyMembers(wire, profileMembers, at);
    for (const member of profileMembers) if (wire[member] === undefined) this.unparsed(at, `missing field \`${member}\``);
    return this.profile(wire, `${at}.`);
  }

  profile(wire: Wire, at: string): PolicyProfile {
    return {
      defaultFamily: this.text(wire, 'default_policy_family', at),
      buckets: this.list(wire, 'uncached_isl_buckets', at).map((item, index) => {
        const place = `${at}uncached_isl_buckets[${index}]`;
        this.onlyMembers(item, ['min_tokens', 'bucket'], place);
        return {
          minTokens: this.count(item, 'min_tokens', place) ?? this.unparsed(place, 'missing field `min_tokens`'),
          bucket: this.text(item, 'bucket', place),
        };
      }),
      classes: this.list(wire, 'policy_classes', at).map((item, index) => this.policyClass(item, `${at}policy_classes[${index}]`)),
    };
  }

  policyClass(wire: Wire, at: string): PolicyClass {
    this.onlyMembers(wire, classMembers, at);
    const queue = wire['queue_policy'] ?? 'fcfs';
    if (queue !== 'fcfs' && queue !== 'lcfs' && queue !== 'wspt') {
      this.unparsed(`${at}.queue_policy`, `unknown variant \`${String(queue)}\`, expected one of \`fcfs\`, \`lcfs\`, \`wspt\``);
    }
    const fraction = wire['prefill_busy_threshold_frac'];
    if (fraction !== undefined && fraction !== null && typeof fraction !== 'number') {
      this.unparsed(`${at}.prefill_busy_threshold_frac`, `invalid type: ${kind(fraction)}, expected f64`);
    }
    const defined = <K extends keyof PolicyClass>(name: K, value: PolicyClass[K] | undefined | null): Partial<PolicyClass> =>
      value === undefined || value === null ? {} : { [name]: value };
    return {
      name: this.text(wire, 'name', at),
      ...defined('family', wire['policy_family'] === undefined ? undefined : this.text(wire, 'policy_family', at)),
      ...defined('bucket', wire['cache_bucket'] === undefined ? undefined : this.text(wire, 'cache_bucket', at)),
      queue,
      quantum: this.count(wire, 'quantum', at) ?? this.unparsed(at, 'missing field `quantum`'),
      ...defined('busyTokens', this.count(wire, 'prefill_busy_threshold', at)),
      ...defined('busyFraction', fraction),
      ...defined('requestsPerWorker', this.count(wire, 'request_queue_limit_per_worker', at)),
      ...defined('islTokensPerWorker', this.count(wire, 'raw_isl_token_queue_limit_per_worker', at)),
      ...defined('cachedTokensPerWorker', this.count(wire, 'cached_token_queue_limit_per_worker', at)),
    };
  }

  selection(wire: Wire): { roles: PolicyConfig['selection']; instances: PolicyConfig['selectors'] } {
    this.onlyMembers(wire, [...roles, 'instances'], 'worker_selection');
    if (Object.keys(wire).length === 0) {
      invalid('worker_selection must define an instance or an aggregated, prefill, decode, or encode selection');
    }
    const list = wire['instances'] ?? [];
    if (!Array.isArray(list)) this.unparsed('worker_selection.instances', `invalid type: ${kind(list)}, expected a sequence`);
    const instances = list.map((item: unknown, index) => {
      const at = `worker_selection.instances[${index}]`;
      const instance = object(item) ?? {};
      this.onlyMembers(instance, ['name', 'type', 'parameters'], at);
      return { name: this.text(instance, 'name', at), type: this.text(instance, 'type', at), parameters: object(instance['parameters']) ?? {} };
    });
    if (instances.some(({ name }) => name === 'default'))
      invalid("worker_selection instance name 'default' is reserved for Dynamo's built-in selector");
    const chosen: Partial<Record<SelectionRole, string>> = {};
    for (const role of roles) {
      const name = wire[role];
      if (typeof name !== 'string') continue;
      if (name !== 'default' && !instances.some((instance) => instance.name === name)) {
        invalid(`worker_selection ${role} "${name}" does not name a configured instance`);
      }
      chosen[role] = name;
    }
    return { roles: chosen, instances };
  }

  classifier(value: unknown): string {
    const wire = object(value) ?? this.unparsed('request_classifier', `invalid type: ${kind(value)}, expected struct RawRequestClassifierConfig`);
    this.onlyMembers(wire, ['type', 'parameters'], 'request_classifier');
    const type = this.text(wire, 'type', 'request_classifier');
    if (type === 'default') invalid("request_classifier type 'default' is reserved; omit request_classifier to use Dynamo's pass-through classifier");
    return type;
  }

  text(wire: Wire, name: string, at: string): string {
    const value = wire[name];
    if (value === undefined) this.unparsed(at.replace(/\.$/, ''), `missing field \`${name}\``);
    return typeof value === 'string'
      ? value
      : this.unparsed(`${at === '' || at.endsWith('.') ? at : `${at}.`}${name}`, `invalid type: ${kind(value)}, expected a string`);
  }

  count(wire: Wire, name: string, at: string): number | undefined {
    const value = wire[name];
    if (value === undefined || value === null) return undefined;
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? value
      : this.unparsed(`${at}.${name}`, `invalid type: ${kind(value)}, expected usize`);
  }

  list(wire: Wire, name: string, at: string): Wire[] {
    const value = wire[name];
    if (!Array.isArray(value)) this.unparsed(`${at}${name}`, `invalid type: ${kind(value)}, expected a sequence`);
    return value.map((item) => object(item) ?? {});
  }
}

function kind(value: unknown): string {
  if (typeof value === 'string') return `string ${JSON.stringify(value)}`;
  if (typeof value === 'number') return Number.isInteger(value) ? `integer \`${value}\`` : `floating point \`${value}\``;
  if (typeof value === 'boolean') return `boolean \`${value}\``;
  if (Array.isArray(value)) return 'sequence';
  return value === null || value === undefined ? 'unit value' : 'map';
}
