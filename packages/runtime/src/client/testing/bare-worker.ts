import type { Socket } from 'node:net';
import type { Discovery } from '../../discovery/discovery.ts';
import { tcpBytes } from '../../planes/testing/stage.ts';
import { encodeInstance } from '../../wire/discovery-record.ts';
import { type ControlMessage, decodeControl, encodeHandshake, encodePrologue } from '../../wire/control.ts';
import { encodeAck, spanRequestFrame } from '../../wire/request-frame.ts';
import { decodeTwoPart, encodeTwoPart } from '../../wire/two-part.ts';
import { instanceOf } from './wire-stub.ts';

/** One request as a worker of bare sockets has it. */
export interface BareRequest {
  readonly control: ControlMessage;
  readonly headers: Readonly<Record<string, string>>;
  /** The connection that it came over. */
  readonly socket: Socket;
  /** Accepts, or refuses with a text. */
  ack(refusal?: string): void;
  /** Calls home and sends these frames behind the handshake. */
  home(...frames: Uint8Array[]): Promise<Socket>;
}

/** The prologue of a handler that has started. */
export const started: Uint8Array = encodeTwoPart({ header: encodePrologue(null) });

/** A worker of `demo.backend.generate` made of bare sockets: it does with each request what the test says. */
export async function bareWorker(
  discovery: Discovery,
  options: { id: bigint; onRequest: (request: BareRequest) => unknown },
): Promise<{ readonly requests: readonly BareRequest[] } & AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  const requests: BareRequest[] = [];
  const home = async ({ response }: ControlMessage, frames: readonly Uint8Array[]): Promise<Socket> => {
    const socket = await tcpBytes.connect(response.address);
    stack.defer(() => void socket.destroy());
    socket.write(Buffer.concat([encodeTwoPart({ header: encodeHandshake(response.subject) }), ...frames]));
    return socket;
  };
  const listener = stack.use(
    await tcpBytes.listen((socket) =>
      socket.on('data', (frame: Buffer) => {
        const { payload, headers } = spanRequestFrame(frame, 0, 1 << 20)!;
        const control = decodeControl(decodeTwoPart(payload).header);
        const request: BareRequest = {
          control,
          headers: JSON.parse(headers.toString()) as Record<string, string>,
          socket,
          ack: (refusal = '') => void socket.write(encodeAck(refusal)),
          home: (...frames) => home(control, frames),
        };
        requests.push(request);
        options.onRequest(request);
      }),
    ),
  );
  stack.use(await discovery.put(encodeInstance({ ...instanceOf(options.id), transport: { tcp: `${listener.address}/path` } })));
  return { requests, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
