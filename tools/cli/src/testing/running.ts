import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

/** A command that runs. */
export interface Running {
  readonly child: ChildProcess;
  /** Everything that it has written to stdout and stderr so far. */
  readonly output: () => string;
  /** Settles with its exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts the command in a process of its own, without any variable of ours, and waits for its first line on stdout. */
export async function start(args: readonly string[], env: Record<string, string>): Promise<Running> {
  const child = spawn(process.execPath, ['--conditions=@dynamo/source', main, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const up = Promise.withResolvers<void>();
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    up.resolve();
  });
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await Promise.race([up.promise, ended.then((code) => Promise.reject(new Error(`ended with ${code}: ${output}`)))]);
  return { child, output: () => output, ended };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
