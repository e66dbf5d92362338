import { connect } from 'node:net';

/**
 * Waits for a server's greeting and lets go of it again; throws when there is none in time.
 *
 * The library forgets the socket of an attempt that timed out, and a forgotten socket keeps the process alive: so a server
 * is left to it only after it has shown that it answers.
 */
export async function probe(server: string, limitMs: number): Promise<void> {
  const { hostname, port } = new URL(server);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || defaultPort) });
  const timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  socket.once('data', (chunk: Buffer) => {
    if (chunk.toString('latin1', 0, greeting.length) === greeting) resolve();
    else reject(new Error('what answers there is no NATS server'));
  });
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('it closed the connection')));
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

const greeting = 'INFO ';

const defaultPort = 4222;
