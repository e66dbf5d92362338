import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A real server in a child process, which a test may kill and start again on the same port with the same data. */
export interface TestServer extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:PORT` of etcd, `nats://127.0.0.1:PORT` of NATS. */
  readonly url: string;
  /** Ends it as a crash would; SIGKILL by default. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again after `kill`. */
  start(): Promise<void>;
  /** Sends it a signal that does not end it, such as SIGSTOP and SIGCONT. */
  signal(signal: NodeJS.Signals): void;
}

/** Why a test of a server can't run on this machine; undefined when it can. */
export const missing = (program: 'etcd' | 'nats-server'): string | undefined =>
  spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined ? undefined : `${program} is not installed`;

/** Starts a real etcd with a folder of its own; with https the arguments must name its certificates. */
export async function startEtcd(options: { args?: readonly string[]; scheme?: 'http' | 'https' } = {}): Promise<TestServer> {
  const port = await freePort();
  const peer = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'etcd-'));
  const url = `${options.scheme ?? 'http'}://127.0.0.1:${port}`;
  const peers = `http://127.0.0.1:${peer}`;
  const args = ['--data-dir', folder, '--listen-client-urls', url, '--advertise-client-urls', url, '--listen-peer-urls', peers];
  args.push('--initial-advertise-peer-urls', peers, '--initial-cluster', `default=${peers}`, '--log-level', 'error', ...(options.args ?? []));
  return startServer({ program: 'etcd', args, port, url, folder });
}

/** Starts a real nats-server. */
export async function startNats(options: { args?: readonly string[] } = {}): Promise<TestServer> {
  const port = await freePort();
  const args = ['--addr', '127.0.0.1', '--port', String(port), ...(options.args ?? [])];
  return startServer({ program: 'nats-server', args, port, url: `nats://127.0.0.1:${port}` });
}

async function startServer(server: { program: string; args: readonly string[]; port: number; url: string; folder?: string }): Promise<TestServer> {
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    child = spawn(server.program, server.args, { stdio: 'ignore' });
    await reachable(server.port);
  };
  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  await start();
  return {
    port: server.port,
    url: server.url,
    kill,
    start,
    signal: (signal) => void child?.kill(signal),
    async [Symbol.asyncDispose]() {
      await kill();
      if (server.folder !== undefined) rmSync(server.folder, { recursive: true, force: true });
    },
  };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}

async function reachable(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise<boolean>((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)));
    socket.destroy();
    if (open) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on port ${port}`);
}
