import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy on loopback that passes bytes on and can be told to misbehave. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** Connections that it holds open now. */
  readonly connections: number;
  /** Bytes wait so many milliseconds in it, each way, from now on. */
  delayMs: number;
  /** Breaks every connection off; new ones are taken. */
  cut(): void;
  /** Breaks off every connection and refuses new ones, until `mend`. */
  refuse(): void;
  mend(): void;
  /** Keeps connections open, and takes new ones, and passes nothing on until `resume`. */
  pause(): void;
  resume(): void;
}

/** Starts a proxy in front of a port of this machine. */
export async function startProxy(target: number): Promise<Proxy> {
  const pairs = new Set<{ readonly near: Socket; readonly far: Socket }>();
  let refusing = false;
  let gate: ReturnType<typeof Promise.withResolvers<void>> | undefined;
  let delayMs = 0;

  const server = createServer((near) => {
    if (refusing) return void near.destroy();
    const pair = { near, far: connect(target, '127.0.0.1') };
    pairs.add(pair);
    pass(pair.near, pair.far);
    pass(pair.far, pair.near);
    const end = (): void => {
      pairs.delete(pair);
      pair.near.destroy();
      pair.far.destroy();
    };
    for (const socket of [pair.near, pair.far]) socket.on('error', end).on('close', end);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  /** Order is kept whatever the delay: each piece waits for the one before it. */
  function pass(from: Socket, to: Socket): void {
    let last: Promise<void> = Promise.resolve();
    from.on('data', (bytes) => {
      const wait = delayMs === 0 ? undefined : new Promise<void>((resolve) => setTimeout(resolve, delayMs));
      last = last.then(async () => {
        await wait;
        await gate?.promise;
        if (!to.destroyed) to.write(bytes);
      });
    });
  }
  const cut = (): void => {
    for (const { near, far } of pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  };
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    port: address.port,
    get connections() {
      return pairs.size;
    },
    get delayMs() {
      return delayMs;
    },
    set delayMs(value) {
      delayMs = value;
    },
    cut,
    refuse() {
      refusing = true;
      cut();
    },
    mend() {
      refusing = false;
    },
    pause() {
      gate ??= Promise.withResolvers();
    },
    resume() {
      gate?.resolve();
      gate = undefined;
    },
    async [Symbol.asyncDispose]() {
      gate?.resolve();
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
