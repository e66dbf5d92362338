import type { DiscoveryRecord } from '../discovery/discovery.ts';
import type { EventScope } from '../planes/events/event-plane.ts';
import { readWireId, readWireObject, readWireRecord, readWireText } from './discovery-record.ts';
import { encodeJsonText } from './json.ts';

/** How a publisher can be heard (spec runtime-wire 3.1). */
export type EventTransport =
  | { readonly kind: 'zmq'; readonly endpoint: string }
  | { readonly kind: 'nats'; readonly subjectPrefix: string }
  | { readonly kind: 'zmq-broker'; readonly xsub: readonly string[]; readonly xpub: readonly string[] };

/** One publisher of one topic, as discovery carries it. */
export interface EventChannel {
  readonly scope: EventScope;
  readonly topic: string;
  readonly publisher: bigint;
  readonly transport: EventTransport;
}

/** Which worker a publisher speaks for and how to ask it for what was missed; `metadata` is the wire object as it stands. */
export interface EventSource {
  readonly scope: EventScope;
  readonly topic: string;
  readonly publisher: bigint;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** ASCII letters, digits, `-` and `_` stay; every other byte becomes `%XX` (spec runtime-wire 3.1). */
const escapeSegment = (text: string): string =>
  /^[A-Za-z0-9_-]*$/.test(text)
    ? text
    : Array.from(Buffer.from(text), (byte) => {
        const letter = String.fromCharCode(byte);
        return /[A-Za-z0-9_-]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
      }).join('');

/** The words of a scope in their order: `namespace, n, component, c, endpoint, e`, names escaped. */
function scopeWords(scope: EventScope): string[] {
  const words = ['namespace', escapeSegment(scope.namespace)];
  if (scope.component !== undefined) words.push('component', escapeSegment(scope.component));
  if (scope.component !== undefined && scope.endpoint !== undefined) words.push('endpoint', escapeSegment(scope.endpoint));
  return words;
}

/** `namespace/{n}[/component/{c}[/endpoint/{e}]]`: where a scope's records stand in their bucket. */
export const scopePath = (scope: EventScope): string => scopeWords(scope).join('/');

/** `{scope path}/topic/{topic}`: what the keys of a topic's publishers begin with. */
export const topicPath = (scope: EventScope, topic: string): string => `${scopePath(scope)}/topic/${escapeSegment(topic)}`;

/** `namespace.{n}[.component.{c}[.endpoint.{e}]]`: what the subjects of a scope begin with (spec runtime-wire 13.3). */
export const subjectPrefix = (scope: EventScope): string => scopeWords(scope).join('.');

/** The subject of a topic, on NATS and through a ZMQ broker. */
export const eventSubject = (scope: EventScope, topic: string): string => `${subjectPrefix(scope)}.${escapeSegment(topic)}`;

/** Writes a channel's record, members in the order of the real one. */
export function encodeEventChannel(channel: EventChannel): DiscoveryRecord {
  const { scope, topic, publisher, transport } = channel;
  return {
    bucket: 'v1/event_channels',
    key: publisherKey(channel),
    value: encodeJsonText({ type: 'EventChannel', scope: wireScope(scope), topic, instance_id: publisher, transport: wireTransport(transport) }),
  };
}

/** Reads a channel's record; undefined when it is none that we can use. */
export function decodeEventChannel(record: DiscoveryRecord): EventChannel | undefined {
  const raw = readWireRecord(record);
  const shared = readShared(raw, 'EventChannel', 'instance_id');
  const transport = readTransport(readWireObject(raw?.['transport']));
  return shared === undefined || transport === undefined ? undefined : { ...shared, transport };
}

/** Writes an event source's record. */
export function encodeEventSource(source: EventSource): DiscoveryRecord {
  const { scope, topic, publisher, metadata } = source;
  return {
    bucket: 'v1/event_sources',
    key: publisherKey(source),
    value: encodeJsonText({ type: 'EventSource', scope: wireScope(scope), topic, publisher_id: publisher, metadata }),
  };
}

/** Reads an event source's record; undefined when it is none. */
export function decodeEventSource(record: DiscoveryRecord): EventSource | undefined {
  const raw = readWireRecord(record);
  const shared = readShared(raw, 'EventSource', 'publisher_id');
  const metadata = readWireObject(raw?.['metadata']);
  return shared === undefined || metadata === undefined ? undefined : { ...shared, metadata };
}

/** The publisher that a key of either bucket names; undefined when it names none. */
export function publisherOfKey(key: string): bigint | undefined {
  const hex = key.slice(key.lastIndexOf('/') + 1);
  return /^[0-9a-f]{1,16}$/.test(hex) ? BigInt(`0x${hex}`) : undefined;
}

const publisherKey = (of: { scope: EventScope; topic: string; publisher: bigint }): string =>
  `${topicPath(of.scope, of.topic)}/${of.publisher.toString(16)}`;

function wireScope(scope: EventScope): unknown {
  const { namespace, component, endpoint } = scope;
  if (component === undefined) return { kind: 'namespace', name: namespace };
  if (endpoint === undefined) return { kind: 'component', namespace, component };
  return { kind: 'endpoint', endpoint: { namespace, component, name: endpoint } };
}

function readScope(raw: Record<string, unknown> | undefined): EventScope | undefined {
  if (raw?.['kind'] === 'namespace') return withNames({ namespace: raw['name'] });
  if (raw?.['kind'] === 'component') return withNames({ namespace: raw['namespace'], component: raw['component'] });
  const inner = readWireObject(raw?.['endpoint']);
  if (raw?.['kind'] !== 'endpoint' || inner === undefined) return undefined;
  return withNames({ namespace: inner['namespace'], component: inner['component'], endpoint: inner['name'] });
}

const withNames = (names: Record<string, unknown>): EventScope | undefined =>
  Object.values(names).every((name) => typeof name === 'string') ? (names as unknown as EventScope) : undefined;

function readShared(
  raw: Record<string, unknown> | undefined,
  type: string,
  idMember: string,
): { scope: EventScope; topic: string; publisher: bigint } | undefined {
  const scope = readScope(readWireObject(raw?.['scope']));
  const topic = readWireText(raw?.['topic']);
  const publisher = readWireId(raw?.[idMember]);
  if (raw?.['type'] !== type || scope === undefined || topic === undefined || publisher === undefined) return undefined;
  return { scope, topic, publisher };
}

function wireTransport(transport: EventTransport): unknown {
  if (transport.kind === 'zmq') return { kind: 'Zmq', config: { endpoint: transport.endpoint } };
  if (transport.kind === 'nats') return { kind: 'Nats', config: { subject_prefix: transport.subjectPrefix } };
  return { kind: 'ZmqBroker', config: { xsub_endpoints: transport.xsub, xpub_endpoints: transport.xpub } };
}

function readTransport(raw: Record<string, unknown> | undefined): EventTransport | undefined {
  const config = readWireObject(raw?.['config']);
  const endpoint = readWireText(config?.['endpoint']);
  if (raw?.['kind'] === 'Zmq' && endpoint !== undefined) return { kind: 'zmq', endpoint };
  const prefix = readWireText(config?.['subject_prefix']);
  if (raw?.['kind'] === 'Nats' && prefix !== undefined) return { kind: 'nats', subjectPrefix: prefix };
  const xsub = texts(config?.['xsub_endpoints']);
  const xpub = texts(config?.['xpub_endpoints']);
  if (raw?.['kind'] === 'ZmqBroker' && xsub !== undefined && xpub !== undefined) return { kind: 'zmq-broker', xsub, xpub };
  return undefined;
}

const texts = (value: unknown): readonly string[] | undefined =>
  Array.isArray(value) && value.every((text) => typeof text === 'string') ? value : undefined;
