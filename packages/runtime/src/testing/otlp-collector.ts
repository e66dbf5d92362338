import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';

/** A span as a collector reads it. */
export interface ReceivedSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly state: string;
  readonly service: string;
  readonly seconds: number;
  readonly flags: number;
  readonly status: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
}

/** A collector for tests: it reads the protobuf of OTLP by itself, over HTTP or over HTTP/2 as gRPC. */
export interface Collector extends AsyncDisposable {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** What it answers from now on: an HTTP status, or for gRPC 0 or another status. */
  answer(status: number): void;
}

/** Opens a collector on a free port of the loopback address. */
export async function openCollector(protocol: 'grpc' | 'http/protobuf'): Promise<Collector> {
  const spans: ReceivedSpan[] = [];
  const requests: { path: string; headers: IncomingHttpHeaders }[] = [];
  let status = protocol === 'grpc' ? 0 : 200;
  const take = (path: string, headers: IncomingHttpHeaders, body: Buffer): void => {
    requests.push({ path, headers });
    if (path.endsWith('/traces') || path.endsWith('TraceService/Export')) spans.push(...readSpans(body));
  };
  const sessions = new Set<ServerHttp2Session>();
  const overHttp = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await gathered(request);
    if (status < 300) take(request.url ?? '', request.headers, body);
    response.writeHead(status).end();
  };
  const overGrpc = async (stream: ServerHttp2Stream, headers: IncomingHttpHeaders & { ':path'?: string | undefined }): Promise<void> => {
    const body = await gathered(stream as AsyncIterable<Buffer>);
    if (status === 0) take(headers[':path'] ?? '', headers, body.subarray(5));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status), 'grpc-message': 'as told' }));
    stream.end(Buffer.alloc(5));
  };
  const server =
    protocol === 'grpc'
      ? createHttp2Server()
          .on('session', (session) => void sessions.add(session))
          .on('stream', (stream, headers) => void overGrpc(stream, headers))
      : createServer((request, response) => void overHttp(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    requests,
    answer: (next) => void (status = next),
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      if ('closeAllConnections' in server) server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function gathered(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

type Field = number | bigint | Buffer;

/** Fields of a protobuf message by number, in their order. */
function fields(bytes: Buffer): Map<number, Field[]> {
  const found = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const field = key >> 3;
    let value: Field;
    if ((key & 7) === 0) value = varint();
    else if ((key & 7) === 1) value = bytes.subarray(at, (at += 8));
    else if ((key & 7) === 5) value = bytes.readUInt32LE((at += 4) - 4);
    else {
      const length = Number(varint());
      value = bytes.subarray(at, (at += length));
    }
    found.set(field, [...(found.get(field) ?? []), value]);
  }
  return found;
}

const all = (message: Map<number, Field[]>, field: number): Buffer[] => (message.get(field) ?? []) as Buffer[];
const one = (message: Map<number, Field[]>, field: number): Buffer => all(message, field)[0] ?? Buffer.alloc(0);

function readSpans(body: Buffer): ReceivedSpan[] {
  return all(fields(body), 1).flatMap((resourceSpans) => {
    const group = fields(resourceSpans);
    const service = String(attributesOf(all(fields(one(group, 1)), 1))['service.name']);
    return all(group, 2).flatMap((scope) => all(fields(scope), 2).map((span) => readSpan(fields(span), service)));
  });
}

function readSpan(span: Map<number, Field[]>, service: string): ReceivedSpan {
  return {
    name: one(span, 5).toString(),
    kind: Number(span.get(6)?.[0] ?? 0),
    traceId: one(span, 1).toString('hex'),
    spanId: one(span, 2).toString('hex'),
    parentId: one(span, 4).toString('hex'),
    state: one(span, 3).toString(),
    service,
    seconds: Number(one(span, 8).readBigUInt64LE() - one(span, 7).readBigUInt64LE()) / 1e9,
    flags: Number(span.get(16)?.[0] ?? 0),
    status: Number(fields(one(span, 15)).get(3)?.[0] ?? 0),
    attributes: attributesOf(all(span, 9)),
    events: all(span, 11).map((event) => one(fields(event), 2).toString()),
  };
}

function attributesOf(pairs: readonly Buffer[]): Record<string, unknown> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const value = fields(one(fields(pair), 2));
      const [number = 0, [content = 0] = []] = [...value][0] ?? [];
      const read = number === 1 ? String(content) : number === 2 ? content === 1n : number === 4 ? (content as Buffer).readDoubleLE() : content;
      return [one(fields(pair), 1).toString(), typeof read === 'bigint' ? BigInt.asIntN(64, read) : read];
    }),
  );
}
