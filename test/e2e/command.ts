import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A stack that runs in processes of its own, with what it said. */
export interface Running extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Everything on stdout so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves when stdout holds the text; rejects when the process ends before. */
  said(text: string): Promise<void>;
  /** Exit code and signal. */
  readonly ended: Promise<readonly [number | null, NodeJS.Signals | null]>;
}

/** Starts the dynamo command without any variable of ours. */
export const dynamo = (args: readonly string[], env: Record<string, string> = {}): Running =>
  run(process.execPath, ['--conditions=@dynamo/source', `${root}tools/cli/src/main.ts`, ...args], env);

/** Starts it as a user does, in a process group of its own, as a terminal would. */
export const npmStart = (args: readonly string[]): Running => run('npm', ['start', '--', ...args], { HOME: process.env['HOME'] ?? '' });

function run(command: string, args: readonly string[], env: Record<string, string>): Running {
  const child = spawn(command, args, { cwd: root, env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return {
    child,
    ended,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    async said(text) {
      while (!stdout.includes(text)) {
        const ending = await Promise.race([once(child.stdout, 'data').then(() => undefined), ended]);
        if (ending !== undefined && !stdout.includes(text)) throw new Error(`ended with ${ending.join(' ')} before '${text}':\n${stdout}\n${stderr}`);
      }
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Sends a signal to the whole group, as Ctrl-C in a terminal does. */
export const interruptGroup = (running: Running): void => void process.kill(-(running.child.pid ?? 0), 'SIGINT');

/** Facts out of the banner of `serve`. */
export function readBanner(stdout: string): { url: string; root: string; curls: readonly string[]; pids: readonly number[] } {
  const url = /frontend +(\S+),/.exec(stdout)?.[1] ?? '';
  const folder = /discovery +files in (\S+)/.exec(stdout)?.[1] ?? '';
  const curls = stdout.split('\n').filter((line) => line.trim().startsWith('curl '));
  return { url, root: folder, curls, pids: [...stdout.matchAll(/worker \d.*pid (\d+)/g)].map((match) => Number(match[1])) };
}

/** The banner's last line. */
export const bannerEnd = 'Ctrl-C ends it all';
