import type { DiscoveryRecord } from '../discovery/discovery.ts';
import type { Instance, InstanceId } from '../endpoint/instance.ts';
import { decodeJson, encodeJsonText } from './json.ts';

/** Which endpoint of which runtime a record belongs to. */
export interface EndpointIdentity {
  readonly namespace: string;
  readonly component: string;
  readonly endpoint: string;
  readonly id: InstanceId;
}

/** A model card as discovery carries it (spec runtime-wire 3.1). */
export interface ModelRecord extends EndpointIdentity {
  readonly card: Readonly<Record<string, unknown>>;
  /** Sets the card of one of the worker's adapters apart from that of its model. */
  readonly suffix?: string;
}

/** `{ns}/{comp}/{ep}/{id hex}`: the key of an instance and of its model card. */
export const instanceKey = (identity: EndpointIdentity): string =>
  `${identity.namespace}/${identity.component}/${identity.endpoint}/${identity.id.toString(16)}`;

/** Writes an instance's record, members in the order of the real one. */
export function encodeInstance(instance: Instance): DiscoveryRecord {
  const transport = 'tcp' in instance.transport ? { tcp: instance.transport.tcp } : { nats_tcp: instance.transport.nats };
  const value = encodeJsonText({
    type: 'Endpoint',
    component: instance.component,
    endpoint: instance.endpoint,
    namespace: instance.namespace,
    instance_id: instance.id,
    transport,
    ...(instance.device === undefined ? {} : { device_type: instance.device }),
    request_plane_codec: instance.codec,
  });
  return { bucket: 'v1/instances', key: instanceKey(instance), value };
}

/** Reads an instance's record; undefined when it is none that we can use. */
export function decodeInstance(record: DiscoveryRecord): Instance | undefined {
  const raw = readWireRecord(record);
  const identity = readIdentity(raw);
  const transport = readWireObject(raw?.['transport']);
  if (raw === undefined || identity === undefined || transport === undefined || raw['type'] !== 'Endpoint') return undefined;
  const address =
    typeof transport['tcp'] === 'string'
      ? { tcp: transport['tcp'] }
      : typeof transport['nats_tcp'] === 'string'
        ? { nats: transport['nats_tcp'] }
        : undefined;
  if (address === undefined) return undefined;
  return {
    ...identity,
    transport: address,
    codec: raw['request_plane_codec'] === 'msgpack' ? 'msgpack' : 'json',
    ...(typeof raw['device_type'] === 'string' ? { device: raw['device_type'] } : {}),
  };
}

/** Writes a model card's record. */
export function encodeModel(model: ModelRecord): DiscoveryRecord {
  const { namespace, component, endpoint, id, card, suffix } = model;
  const named = suffix === undefined ? {} : { model_suffix: suffix };
  const value = encodeJsonText({ type: 'Model', namespace, component, endpoint, instance_id: id, card_json: card, ...named });
  return { bucket: 'v1/mdc', key: suffix === undefined ? instanceKey(model) : `${instanceKey(model)}/${suffix}`, value };
}

/** Reads a model card's record; undefined when it is none. */
export function decodeModel(record: DiscoveryRecord): ModelRecord | undefined {
  const raw = readWireRecord(record);
  const identity = readIdentity(raw);
  const card = readWireObject(raw?.['card_json']);
  if (raw?.['type'] !== 'Model' || identity === undefined || card === undefined) return undefined;
  const suffix = readWireText(raw['model_suffix']);
  return { ...identity, card, ...(suffix === undefined ? {} : { suffix }) };
}

function readIdentity(raw: Record<string, unknown> | undefined): EndpointIdentity | undefined {
  const { namespace, component, endpoint, instance_id: id } = raw ?? {};
  if (typeof namespace !== 'string' || typeof component !== 'string' || typeof endpoint !== 'string') return undefined;
  const wide = readWireId(id);
  return wide === undefined ? undefined : { namespace, component, endpoint, id: wide };
}

/** A record's 64-bit id; undefined for anything else. */
export function readWireId(value: unknown): bigint | undefined {
  if (typeof value !== 'bigint' && !(typeof value === 'number' && Number.isSafeInteger(value))) return undefined;
  const wide = BigInt(value);
  return wide < 0n || wide >= 1n << 64n ? undefined : wide;
}

/** A member that is text; undefined for anything else. */
export const readWireText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** A record's value as an object; undefined for anything else. */
export function readWireRecord(record: DiscoveryRecord): Record<string, unknown> | undefined {
  try {
    return readWireObject(decodeJson(record.value));
  } catch {
    return undefined;
  }
}

/** A member that is an object; undefined for anything else. */
export const readWireObject = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
