import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The Python that has ai-dynamo 1.6.1, or why there is none. */
export function findPython(): { path: string } | { missing: string } {
  const path = process.env['DYNAMO_PYTHON'] ?? here('.venv/bin/python');
  if (!existsSync(path)) return { missing: `no Python environment at ${path}: run test/interop/make-env.sh or set DYNAMO_PYTHON` };
  const probe = spawnSync(path, ['-c', 'import dynamo.runtime, uvloop'], { encoding: 'utf8' });
  return probe.status === 0 ? { path } : { missing: `that Python can't import dynamo.runtime: ${probe.stderr.trim().split('\n').at(-1)}` };
}

/** A discovery folder of its own and the environment that points real and own processes at it. */
export async function scene(): Promise<{ env: Record<string, string>; root: string } & AsyncDisposable> {
  const root = await mkdtemp(join(tmpdir(), 'dynamo-interop-'));
  const env = {
    DYN_DISCOVERY_BACKEND: 'file',
    DYN_FILE_KV: root,
    DYN_REQUEST_PLANE: 'tcp',
    DYN_EVENT_PLANE: 'zmq',
    DYN_TCP_RPC_HOST: '127.0.0.1',
    DYN_TCP_RESPONSE_STREAM_HOST: '127.0.0.1',
    DYN_LOG: process.env['INTEROP_LOG'] ?? 'warn',
  };
  return { env, root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };
}

/** A running peer and the JSON lines that it has printed. */
export interface Peer extends AsyncDisposable {
  readonly lines: Record<string, unknown>[];
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

/** Starts one of the peers. */
export function startPeer(python: string, script: string, options: { args: readonly string[]; env: Record<string, string> }): Peer {
  const child = spawn(python, [here(`peers/${script}`), ...options.args], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore'],
  });
  const lines: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{')) lines.push(JSON.parse(line) as Record<string, unknown>);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    lines,
    child,
    ended,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The last words of a process, kept for the day when it fails: with `INTEROP_VERBOSE` they are also shown as they come. */
function lastWords(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (more: string) => {
      text = (text + more).slice(-tailCharacters);
      if (process.env['INTEROP_VERBOSE']) process.stderr.write(more);
    });
  }
  return () => text.trim();
}

/** How much of a log is kept: some thirty lines. */
const tailCharacters = 6_000;

/**
 * Starts the real HTTP frontend and waits until it answers.
 *
 * @throws Error with the end of its log when it ends, or has not answered within `limitMs` (default 40 seconds).
 */
export function startFrontend(python: string, options: FrontendProcess): Promise<{ url: string } & AsyncDisposable> {
  const args = ['-m', 'dynamo.frontend', '--discovery-backend', 'file', '--request-plane', 'tcp', '--event-plane', 'zmq'];
  return startHttp({ name: 'the real frontend', command: python, args }, options);
}

/** Starts ours in a process of its own: what is measured beside the real one has no other work to do. */
export function startOurFrontend(options: FrontendProcess): Promise<{ url: string } & AsyncDisposable> {
  const args = ['--conditions=@dynamo/source', here('../../tools/cli/src/main.ts'), 'frontend'];
  return startHttp({ name: 'our frontend', command: process.execPath, args }, options);
}

interface FrontendProcess {
  port: number;
  env: Record<string, string>;
  args?: readonly string[];
  limitMs?: number;
}

async function startHttp(
  what: { name: string; command: string; args: readonly string[] },
  options: FrontendProcess,
): Promise<{ url: string } & AsyncDisposable> {
  const { port, env, args: more = [], limitMs = 40_000 } = options;
  const child = spawn(what.command, [...what.args, '--http-host', '127.0.0.1', '--http-port', String(port), ...more], {
    env: { ...process.env, HF_HUB_OFFLINE: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = lastWords(child);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('close', (code, signal) => resolve(`ended with ${signal ?? code}`));
  });
  const url = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  const failed = await Promise.race([ended, answers(`${url}/live`, limitMs)]);
  if (failed !== undefined) {
    await stop();
    throw new Error(`${what.name} ${failed}; the end of its log:\n${log() || '(nothing)'}`);
  }
  return { url, [Symbol.asyncDispose]: stop };
}

/** Waits until an address answers well; says so when it does not in time. */
async function answers(url: string, limitMs: number): Promise<string | undefined> {
  const until = performance.now() + limitMs;
  while (performance.now() < until) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    if (answer?.ok === true) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return `did not answer ${url} within ${limitMs} ms`;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Runs the client peer to its end. */
export async function callFromPython(
  python: string,
  options: { args: readonly string[]; env: Record<string, string> },
): Promise<Record<string, unknown>[]> {
  const peer = startPeer(python, 'py_client.py', options);
  await peer.ended;
  return peer.lines;
}
