import { labelValue } from '@dynamo/metrics/internal';
import type { Discovery, DiscoveryChange } from '../discovery/discovery.ts';
import { decodeInstance } from '../wire/discovery-record.ts';
import type { Instance, InstanceId } from './instance.ts';
import type { EndpointPath } from './path.ts';

/** What a namespace is looked at through; a `DistributedRuntime` is one. */
export interface DiscoveryHost {
  /** Where the records are. */
  readonly discovery: Discovery;
}

/**
 * All components under one name, as an operator sees them. Nothing is created by making one.
 *
 * Serving and calling need no such object: `runtime.serve` and `runtime.client` take the whole path.
 */
export class Namespace {
  /** As discovery shows it. */
  readonly name: string;
  readonly #discovery: Discovery;

  constructor(host: DiscoveryHost, name: string) {
    this.name = name;
    this.#discovery = host.discovery;
  }

  /** One of its components, whether or not anybody serves it. */
  component(name: string): Component {
    return new Component({ discovery: this.#discovery }, this, name);
  }

  /** Where its events travel over NATS, before the topic (spec runtime-wire 13.3). */
  get subject(): string {
    return `namespace.${escapeSegment(this.name)}`;
  }

  /** Where its event channels are announced, between bucket and topic (spec runtime-wire 3.1). */
  get scopePath(): string {
    return `namespace/${escapeSegment(this.name)}`;
  }

  /**
   * Labels that the real system stamps on every metric in it, in their legal form (spec metrics 2).
   *
   * @throws TypeError for a name without a letter or digit.
   */
  get labels(): Readonly<Record<string, string>> {
    return { dynamo_namespace: labelValue(this.name) };
  }

  /** The instances of every endpoint in it now, by component, endpoint and ascending id. */
  instances(): Promise<readonly Instance[]> {
    return list(this.#discovery, this.name);
  }

  /** The instances now and after each change, until the signal aborts. */
  watch(options: { signal: AbortSignal }): AsyncIterable<readonly Instance[]> {
    return watch(this.#discovery, this.name, options);
  }
}

/** The endpoints that one kind of worker serves. */
export class Component {
  /** The namespace it belongs to. */
  readonly namespace: Namespace;
  /** As discovery shows it. */
  readonly name: string;
  readonly #discovery: Discovery;

  constructor(host: DiscoveryHost, namespace: Namespace, name: string) {
    this.namespace = namespace;
    this.name = name;
    this.#discovery = host.discovery;
  }

  /** The path of one of its endpoints, as `serve` and `client` take it. */
  endpoint(name: string): EndpointPath {
    return `${this.namespace.name}.${this.name}.${name}`;
  }

  /** Where its events travel over NATS, before the topic (spec runtime-wire 13.3). */
  get subject(): string {
    return `${this.namespace.subject}.component.${escapeSegment(this.name)}`;
  }

  /** Where its event channels are announced, between bucket and topic (spec runtime-wire 3.1). */
  get scopePath(): string {
    return `${this.namespace.scopePath}/component/${escapeSegment(this.name)}`;
  }

  /** Its name as a NATS micro service and queue group (spec runtime-wire 8). */
  get service(): string {
    return slug(`${this.namespace.name}_${this.name}`);
  }

  /** Where one instance of an endpoint hears requests over NATS (spec runtime-wire 8). */
  requestSubject(endpoint: string, id: InstanceId): string {
    return `${this.service}.${endpoint}-${id.toString(16)}`;
  }

  /** Labels of this component's metrics, or of one of its endpoints'; see `Namespace.labels`. */
  labels(endpoint?: string): Readonly<Record<string, string>> {
    const own = { ...this.namespace.labels, dynamo_component: labelValue(this.name) };
    return endpoint === undefined ? own : { ...own, dynamo_endpoint: labelValue(endpoint) };
  }

  /** The instances of its endpoints now, or of one of them, by endpoint and ascending id. */
  instances(options: { endpoint?: string } = {}): Promise<readonly Instance[]> {
    return list(this.#discovery, this.#prefix(options.endpoint));
  }

  /** The instances now and after each change, until the signal aborts. */
  watch(options: { signal: AbortSignal; endpoint?: string }): AsyncIterable<readonly Instance[]> {
    return watch(this.#discovery, this.#prefix(options.endpoint), options);
  }

  #prefix(endpoint: string | undefined): string {
    const own = `${this.namespace.name}/${this.name}`;
    return endpoint === undefined ? own : `${own}/${endpoint}`;
  }
}

/** Keeps ASCII letters, digits, `-` and `_`; every other byte becomes `%XX` (spec runtime-wire 3.1). */
export const escapeSegment = (segment: string): string =>
  segment.replaceAll(/[^A-Za-z0-9_-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );

/** Lower case, other characters than `a-z0-9-_` as `_` (spec runtime-wire 8). */
const slug = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9_-]/gu, '_');

async function list(discovery: Discovery, prefix: string): Promise<readonly Instance[]> {
  const records = await discovery.list({ bucket: 'v1/instances', prefix });
  return sorted(records.map(decodeInstance));
}

async function* watch(discovery: Discovery, prefix: string, options: { signal: AbortSignal }): AsyncGenerator<readonly Instance[]> {
  const known = new Map<string, Instance>();
  for await (const change of discovery.watch({ bucket: 'v1/instances', prefix }, { signal: options.signal })) {
    if (apply(known, change)) yield sorted(known.values());
  }
}

/** Whether the picture has changed; a record that we can't read changes nothing. */
function apply(known: Map<string, Instance>, change: DiscoveryChange): boolean {
  if (change.type === 'delete') return known.delete(change.key);
  const records = change.type === 'put' ? [change.record] : change.records;
  let changed = change.type === 'snapshot';
  for (const record of records) {
    const instance = decodeInstance(record);
    if (instance === undefined) continue;
    known.set(record.key, instance);
    changed = true;
  }
  return changed;
}

const sorted = (instances: Iterable<Instance | undefined>): readonly Instance[] =>
  [...instances].filter((instance) => instance !== undefined).sort((a, b) => byText(path(a), path(b)) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));

const path = (instance: Instance): string => `${instance.namespace}/${instance.component}/${instance.endpoint}`;

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
