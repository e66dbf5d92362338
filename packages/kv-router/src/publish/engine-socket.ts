import { DynamoError, type Logger } from '@dynamo/runtime';

/** Where an engine publishes its own cache events. */
export interface EngineSource {
  /** Address of the engine's PUB socket, such as `tcp://127.0.0.1:5557`. */
  readonly zmq: string;
  /** Only messages whose topic begins with this; all by default. */
  readonly topic?: string;
}

/** Reads an engine's socket until disposed; messages that come faster than they are read wait in the socket. */
export async function openEngineSocket(
  source: EngineSource,
  options: { readonly onMessage: (frames: readonly Uint8Array[]) => void; readonly log: Logger },
): Promise<AsyncDisposable> {
  const { Subscriber } = await import('zeromq');
  // No limit: a dropped event would leave the router wrong until the block is stored again.
  const socket = new Subscriber({ receiveHighWaterMark: 0, linger: 0 });
  try {
    socket.connect(source.zmq);
  } catch (cause) {
    socket.close();
    throw new DynamoError('invalid_argument', `source.zmq '${source.zmq}' is no address that ZMQ can connect to`, {
      cause,
      data: { zmq: source.zmq },
    });
  }
  socket.subscribe(source.topic ?? '');
  const reading = (async (): Promise<void> => {
    for await (const frames of socket) options.onMessage(frames);
  })().catch((error: unknown) => options.log.error({ zmq: source.zmq, error: String(error) }, "an engine's event socket has failed"));
  return {
    async [Symbol.asyncDispose]() {
      socket.close();
      await reading;
    },
  };
}
