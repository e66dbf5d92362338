import { DynamoError } from '../../../error.ts';
import { parseAddress } from '../../../net/address.ts';
import { dial } from '../../../net/dial.ts';
import type { TlsClient } from '../../../net/tls.ts';
import { encodeRequestFrame } from '../../../wire/request-frame.ts';
import type { OnAck, OutgoingRequest, RequestDialOptions, RequestSender } from '../request-plane.ts';
import { RequestConnection } from './connection.ts';

/** An idle connection is closed after so long, in milliseconds (spec runtime-wire 2). */
const defaultIdleMs = 300_000;

/** How much may wait for a worker that does not read, in bytes: eight of the largest frames. */
const defaultMaxUnsentBytes = 256 * 1024 * 1024;

/** Opens the request plane's sending side: one connection an address. */
export function dialRequests(options: RequestDialOptions, tls?: TlsClient): RequestSender {
  const limits = { idleMs: defaultIdleMs, maxUnsentBytes: defaultMaxUnsentBytes, ...options };
  const connections = new Map<string, RequestConnection>();
  let disposed = false;

  function open(address: string): RequestConnection {
    const target = parseAddress(address);
    if (target === undefined) throw new DynamoError('cannot_connect', `request address '${address}' is not HOST:PORT`);
    // Once a connection begins to close, the next request opens another.
    const onLeave = (): void => {
      if (connections.get(address) === connection) connections.delete(address);
    };
    const connection = new RequestConnection(address, dial(target, tls), { ...limits, onLeave });
    connections.set(address, connection);
    return connection;
  }

  function send(request: OutgoingRequest, onAck: OnAck): void {
    if (disposed) throw new DynamoError('unavailable', 'the runtime is shutting down');
    const { address, path } = addressOf(request);
    const headers = { ...request.headers, 'x-endpoint-path': path };
    const { payload, body } = request;
    const frame = encodeRequestFrame(
      { path, headers, payload, ...(body === undefined ? {} : { followingBytes: body.length }) },
      request.maxFrameBytes,
    );
    (connections.get(address) ?? open(address)).send(frame, onAck, body);
    options.meter?.sent(frame.length + (body?.length ?? 0));
  }

  return {
    send(request, onAck) {
      try {
        send(request, onAck);
      } catch (error) {
        onAck(DynamoError.from(error));
      }
    },
    [Symbol.dispose]() {
      disposed = true;
      for (const connection of connections.values()) connection.close();
    },
  };
}

/** The socket's address is the text before the first slash, the rest is the path, slashes and all (spec runtime-wire 3.1). */
function addressOf({ transport }: OutgoingRequest): { address: string; path: string } {
  if (!('tcp' in transport)) throw new DynamoError('cannot_connect', 'the instance is not reachable over TCP', { data: { transport } });
  const slash = transport.tcp.indexOf('/');
  if (slash < 0) throw new DynamoError('cannot_connect', `request address '${transport.tcp}' names no endpoint`);
  return { address: transport.tcp.slice(0, slash), path: transport.tcp.slice(slash + 1) };
}
