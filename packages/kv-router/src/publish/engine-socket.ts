import { DynamoError, type Logger } from '@dynamo/runtime';
import { decodeReplayAnswer, encodeReplayRequest } from '../wire/engine-replay.ts';
import { type AskReplay, EngineOrder } from './engine-order.ts';

/** Where an engine publishes its own cache events. */
export interface EngineSource {
  /** Address of the engine's PUB socket, such as `tcp://127.0.0.1:5557`. */
  readonly zmq: string;
  /** Only messages whose topic begins with this; all by default. */
  readonly topic?: string;
  /** The engine's ROUTER socket that repeats messages which were missed, and how long it may be silent, 5 000 ms by default. */
  readonly replay?: { readonly zmq: string; readonly timeoutMs?: number };
}

/** Who is told of an engine's messages. */
export interface EngineListener {
  readonly onMessage: (frames: readonly Uint8Array[]) => void;
  /** The engine counts from 0 again: what it had cached is gone. */
  readonly onRestart: () => void;
  readonly log: Logger;
  /** Puts messages into the engine's order even without a replay socket; off by default, as the real publisher does. */
  readonly ordered?: boolean;
}

const defaultReplayMs = 5_000;

/** Reads an engine's socket until disposed; messages that come faster than they are read wait in the socket. */
export async function openEngineSocket(source: EngineSource, listener: EngineListener): Promise<AsyncDisposable> {
  const { Subscriber } = await import('zeromq');
  const { log, onMessage, onRestart, ordered = false } = listener;
  // No limit: a dropped event would leave the router wrong until the block is stored again.
  const socket = new Subscriber({ receiveHighWaterMark: 0, linger: 0 });
  const replay = source.replay === undefined ? undefined : new ReplaySocket(source.replay);
  try {
    connect(socket, 'source.zmq', source.zmq);
    if (source.replay !== undefined) await checkAddress('source.replay.zmq', source.replay.zmq);
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.subscribe(source.topic ?? '');
  const stop = new AbortController();
  const { signal } = stop;
  const order =
    replay === undefined && !ordered
      ? undefined
      : new EngineOrder({ deliver: onMessage, restarted: onRestart, log, signal, ...(replay === undefined ? {} : { replay: replay.ask }) });
  const reading = (async (): Promise<void> => {
    for await (const frames of socket) {
      if (order === undefined) onMessage(frames);
      else await order.take(frames);
    }
  })().catch((error: unknown) => log.error({ zmq: source.zmq, error: String(error) }, "an engine's event socket has failed"));
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      socket.close();
      replay?.[Symbol.dispose]();
      await reading;
    },
  };
}

/** An engine's replay socket: a connection for each question, so that no answer is taken for that of another. */
class ReplaySocket implements Disposable {
  readonly #address: string;
  readonly #timeoutMs: number;
  #open: { close(): void } | undefined;
  #closed = false;

  constructor({ zmq, timeoutMs = defaultReplayMs }: NonNullable<EngineSource['replay']>) {
    this.#address = zmq;
    this.#timeoutMs = timeoutMs;
  }

  readonly ask: AskReplay = async function* (this: ReplaySocket, start: bigint) {
    const { Dealer } = await import('zeromq');
    if (this.#closed) return;
    const socket = new Dealer({ receiveHighWaterMark: 0, linger: 0, receiveTimeout: this.#timeoutMs, sendTimeout: this.#timeoutMs });
    this.#open = socket;
    try {
      socket.connect(this.#address);
      await socket.send(encodeReplayRequest(start) as Buffer[]);
      for (;;) {
        const answer = decodeReplayAnswer(await socket.receive());
        if (answer === 'end') return;
        if (answer !== undefined) yield answer;
      }
    } catch (cause) {
      const silent = (cause as NodeJS.ErrnoException).code === 'EAGAIN';
      throw new DynamoError('response_timeout', silent ? `the replay socket said nothing for ${this.#timeoutMs} ms` : String(cause), { cause });
    } finally {
      this.#open = undefined;
      socket.close();
    }
  }.bind(this);

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#open?.close();
  }
}

function connect(socket: { connect(address: string): void }, name: string, address: string): void {
  try {
    socket.connect(address);
  } catch (cause) {
    throw new DynamoError('invalid_argument', `${name} '${address}' is no address that ZMQ can connect to`, { cause, data: { zmq: address } });
  }
}

/** Says at once what would else be found at the first gap. */
async function checkAddress(name: string, address: string): Promise<void> {
  const { Dealer } = await import('zeromq');
  const socket = new Dealer({ linger: 0 });
  try {
    connect(socket, name, address);
  } finally {
    socket.close();
  }
}
