import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** A running `dynamo.mocker`. */
export interface Mocker extends AsyncDisposable {
  /** Asks for an orderly end and waits for it; resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** Starts the real mock workers; they are there when discovery shows them. */
export function startMocker(python: string, options: { args: readonly string[]; env: Readonly<Record<string, string>> }): Mocker {
  const child = spawn(python, ['-m', 'dynamo.mocker', ...options.args], {
    env: { ...process.env, ...options.env, HF_HUB_OFFLINE: '1' },
    stdio: process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore',
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return {
    stop() {
      child.kill('SIGTERM');
      return ended;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    },
  };
}

/** A port for the real status server, which reads its port as a signed 16-bit number: one below 32768 that was free a moment ago. */
export async function freeStatusPort(): Promise<number> {
  for (let port = 20_000 + (process.pid % 10_000); port < 32_768; port++) {
    const server = createServer().listen(port, '127.0.0.1');
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    server.close();
    if (free) return port;
  }
  throw new Error('no port from 20000 to 32767 is free');
}
