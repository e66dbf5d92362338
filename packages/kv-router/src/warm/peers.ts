import { type DistributedRuntime, DynamoError, type EndpointPath, type InstanceId } from '@dynamo/runtime';
import { bare, decodeBareItem, decodeInstance, type EndpointName } from '@dynamo/runtime/internal';

/** How long a peer may take to give its state away, in milliseconds. */
const patienceMs = 10_000;

/** The endpoint at which routers of an endpoint give their state to those that begin. */
const statePath = ({ namespace, component, endpoint }: EndpointName): EndpointPath => `${namespace}.${component}.router_state_${endpoint}`;

/** Gives this router's state to whoever asks, until it is disposed. */
export function serveState(runtime: DistributedRuntime, name: EndpointName, capture: () => readonly Uint8Array[]): Promise<AsyncDisposable> {
  return runtime.serve<unknown, unknown>(
    statePath(name),
    async function* (_asked, { signal }) {
      for (const frame of capture()) {
        if (signal.aborted) return;
        yield bare({ frame });
      }
    },
    { drain: false },
  );
}

/** The routers that can be asked for their state now, this one left out. */
export async function peersOf(runtime: DistributedRuntime, name: EndpointName): Promise<InstanceId[]> {
  const { endpoint, ...component } = name;
  const records = await runtime.discovery.list({
    bucket: 'v1/instances',
    prefix: `${component.namespace}/${component.component}/router_state_${endpoint}`,
  });
  const ids = records.flatMap((record) => decodeInstance(record)?.id ?? []);
  return ids.filter((id) => id !== runtime.discovery.instanceId);
}

/** Reads the frames of a peer's state. */
export async function* askPeer(runtime: DistributedRuntime, name: EndpointName, peer: InstanceId): AsyncGenerator<Uint8Array> {
  await using client = runtime.openClient<unknown, unknown>(statePath(name), {
    readItem: (bytes, from, to) => decodeBareItem(bytes.subarray(from, to)),
  });
  const signal = AbortSignal.any([runtime.signal, AbortSignal.timeout(patienceMs)]);
  while (!client.instances.some(({ id }) => id === peer)) await client.ready({ min: client.instances.length + 1, signal });
  for await (const item of client.generate({}, { instance: peer, signal })) {
    const { frame } = item as { frame?: unknown };
    if (!(frame instanceof Uint8Array)) throw new DynamoError('backend_protocol', 'a peer sent something else than its state');
    yield frame;
  }
}
