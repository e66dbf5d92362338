/** Identity of one runtime on the wire: an unsigned 64-bit integer, often above 2^63 (spec runtime-wire 1). */
export type InstanceId = bigint;

/** One reachable copy of an endpoint, as discovery shows it. */
export interface Instance {
  readonly id: InstanceId;
  readonly namespace: string;
  readonly component: string;
  readonly endpoint: string;
  /** How to reach it: the request plane's own address text, such as `127.0.0.1:9000/1f/demo/backend/generate`. */
  readonly transport: { readonly tcp: string } | { readonly nats: string };
  /** Encoding that the instance expects for payloads; `json` when its record does not say. */
  readonly codec: 'json' | 'msgpack';
  /** `cuda` or `cpu` where the instance says so. */
  readonly device?: string;
}
