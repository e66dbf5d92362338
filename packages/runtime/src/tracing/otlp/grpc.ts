import { type ClientHttp2Session, connect } from 'node:http2';
import type { ExportSettings } from '../settings.ts';
import type { Delivery } from './exporter.ts';

/** The one call that a collector of traces answers. */
const method = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

/** Brings spans to a collector by OTLP/gRPC: one unary call needs no more of gRPC than Node's HTTP/2 has. */
export function grpcDelivery({ endpoint, headers, timeoutMs }: ExportSettings): Delivery {
  let session: ClientHttp2Session | undefined;
  function open(): ClientHttp2Session {
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    const made = connect(new URL(endpoint).origin);
    // Each call hears of it; the next one opens another session.
    made.on('error', () => {});
    // Spans must not keep a process alive that has nothing else to do.
    made.once('connect', () => made.unref());
    session = made;
    return made;
  }
  return {
    send: (body) =>
      new Promise((resolve, reject) => {
        const call = open().request({
          ...headers,
          ':method': 'POST',
          ':path': method,
          'content-type': 'application/grpc',
          te: 'trailers',
          'grpc-timeout': `${timeoutMs}m`,
        });
        let status: unknown;
        let message: unknown;
        const read = (from: Readonly<Record<string, unknown>>): void => {
          status ??= from['grpc-status'];
          message ??= from['grpc-message'];
        };
        call.setTimeout(timeoutMs, () => call.destroy(new Error(`the collector did not answer within ${timeoutMs} ms`)));
        call.once('response', read);
        call.once('trailers', read);
        call.once('error', reject);
        call.once('close', () =>
          status === '0' ? resolve() : reject(new Error(`the collector answered with status ${String(status)}: ${String(message)}`)),
        );
        call.resume();
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(body.length, 1);
        call.end(Buffer.concat([prefix, body]));
      }),
    [Symbol.dispose]: () => session?.destroy(),
  };
}
