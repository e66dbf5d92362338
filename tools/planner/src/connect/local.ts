import { type ChildProcess, spawn } from 'node:child_process';
import { DynamoError, type Logger } from '@dynamo/runtime';
import type { Connector, Counts } from './connector.ts';

type Role = keyof Counts;

/** How workers are started on this machine. */
export interface LocalOptions {
  /** Program and arguments of one worker of each role; a role without a command can't be scaled. */
  readonly commands: { readonly [R in Role]?: readonly string[] };
  readonly env?: NodeJS.ProcessEnv;
  /** How long a worker that is asked to end may drain before it is killed, in milliseconds; default 60 000. */
  readonly drainMs?: number;
  readonly log: Logger;
}

/** Starts and stops workers as processes of this machine: the newest goes first, and drains before it ends. */
export class LocalConnector implements Connector {
  readonly #options: LocalOptions;
  readonly #running: Readonly<Record<Role, ChildProcess[]>> = { prefill: [], decode: [] };
  readonly #ending = new Set<Promise<void>>();
  #wanted: Counts = { prefill: null, decode: null };
  #closed = false;

  constructor(options: LocalOptions) {
    this.#options = options;
  }

  get wanted(): Counts {
    return this.#wanted;
  }

  /** How many processes of a role run and have not been asked to end. */
  running(role: Role): number {
    return this.#running[role].length;
  }

  /**
   * Starts what is missing and asks what is too much to end. A worker that has ended by itself is started again by the next call.
   *
   * @throws DynamoError `invalid_argument` for counts that are none and for a role without a command; nothing changes then.
   */
  async scale(counts: Counts): Promise<void> {
    if (this.#closed) throw new DynamoError('unavailable', 'the connector is closed');
    const roles: readonly Role[] = ['prefill', 'decode'];
    for (const role of roles) {
      const count = counts[role];
      if (count === null) continue;
      if (!Number.isSafeInteger(count) || count < 0) throw new DynamoError('invalid_argument', `there can't be ${count} ${role} workers`);
      if (count > 0 && this.#options.commands[role] === undefined)
        throw new DynamoError('invalid_argument', `there is no command that starts ${role} workers`);
    }
    this.#wanted = { prefill: counts.prefill ?? this.#wanted.prefill, decode: counts.decode ?? this.#wanted.decode };
    for (const role of roles) {
      const wanted = this.#wanted[role] ?? 0;
      while (this.#running[role].length < wanted) this.#start(role);
      while (this.#running[role].length > wanted) this.#stop(role);
    }
  }

  /** Asks every worker to end, and waits for them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const role of ['prefill', 'decode'] as const) while (this.#running[role].length > 0) this.#stop(role);
    await Promise.all(this.#ending);
  }

  #start(role: Role): void {
    const { commands, env, log } = this.#options;
    const [program = '', ...args] = commands[role] ?? [];
    const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
    const running = this.#running[role];
    running.push(child);
    const ended = (how: Readonly<Record<string, unknown>>): void => {
      const at = running.indexOf(child);
      // One that was asked to end is not in the list any more.
      if (at < 0) return;
      running.splice(at, 1);
      log.warn({ role, pid: child.pid, ...how }, 'a worker has ended by itself');
    };
    child.once('error', (error) => ended({ error: String(error) }));
    child.once('exit', (code, signal) => ended({ code, signal }));
    log.info({ role, pid: child.pid, count: running.length }, 'started a worker');
  }

  #stop(role: Role): void {
    const child = this.#running[role].pop();
    if (child === undefined || child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const { drainMs = 60_000, log } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    const kill = setTimeout(() => {
      log.warn({ role, pid: child.pid, drainMs }, 'a worker has not drained in time: killed');
      child.kill('SIGKILL');
    }, drainMs);
    child.once('exit', () => {
      clearTimeout(kill);
      resolve();
    });
    this.#ending.add(promise);
    void promise.then(() => this.#ending.delete(promise));
    child.kill('SIGTERM');
    log.info({ role, pid: child.pid, count: this.#running[role].length }, 'asked a worker to end');
  }
}
