import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startEtcd, startNats } from '../../packages/runtime/src/testing/servers.ts';
import { type Discovery, pathOf, planFor, type Plane, type Side, sides } from './matrix-plan.ts';
import { scene } from './python.ts';

/** What a call came to, as its client told it. */
export interface Outcome {
  readonly items: readonly unknown[];
  readonly end: 'ok' | 'error';
  readonly code?: string;
  readonly origin?: string;
  readonly message?: string;
}

/** What one client and one worker made of every verb. */
export interface PairResult {
  readonly client: Side;
  readonly worker: Side;
  readonly discovery: Discovery;
  readonly plane: Plane;
  /** By the call's name. */
  readonly calls: ReadonlyMap<string, Outcome>;
  /** What the handler of a call saw of its caller's wish in the end, by the call's name. */
  readonly handlers: ReadonlyMap<string, { stopped: boolean; killed: boolean }>;
  /** How the worker's process ended after SIGTERM. */
  readonly exit: string;
  /** The calls that the real client has by name; empty for ours. */
  readonly api: readonly string[];
}

type Line = Record<string, unknown>;

/** A process that prints JSON lines. */
interface Talker extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly lines: Line[];
  readonly ended: Promise<string>;
  /** Waits for a line. */
  until(fits: (line: Line) => boolean, count?: number): Promise<void>;
}

const here = (file: string): string => fileURLToPath(new URL(`peers/${file}`, import.meta.url));

/** How long any step of a pair may take. */
const limitMs = 40_000;

function start(command: readonly string[], env: Record<string, string>): Talker {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['pipe', 'pipe', process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore'],
  });
  const lines: Line[] = [];
  let heard = Promise.withResolvers<void>();
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (line.startsWith('{')) lines.push(JSON.parse(line) as Line);
    heard.resolve();
    heard = Promise.withResolvers();
  });
  // A peer that is gone needs no more words.
  child.stdin!.on('error', () => undefined);
  const ended = once(child, 'close').then(([code, signal]) => String(signal ?? code));
  return {
    child,
    lines,
    ended,
    async until(fits, count = 1) {
      const limit = AbortSignal.timeout(limitMs);
      const over = Promise.race([once(limit, 'abort').then(() => `nothing for ${limitMs} ms`), ended.then((how) => `it ended with ${how}`)]);
      while (lines.filter(fits).length < count) {
        const failed = await Promise.race([heard.promise.then(() => undefined), over]);
        if (failed !== undefined && lines.filter(fits).length < count)
          throw new Error(`${command.map((part) => part.slice(0, 80)).join(' ')}: ${failed}; it said last: ${JSON.stringify(lines.at(-1))}`);
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

const node = [process.execPath, '--conditions=@dynamo/source'];

/** Runs both clients against both workers over one discovery and one plane, every verb. */
export async function runSetting(python: string, setting: { discovery: Discovery; plane: Plane }): Promise<PairResult[]> {
  await using stack = new AsyncDisposableStack();
  const { env } = stack.use(await scene());
  env['DYN_REQUEST_PLANE'] = setting.plane;
  env['DYN_DISCOVERY_BACKEND'] = setting.discovery;
  if (setting.discovery === 'etcd') env['ETCD_ENDPOINTS'] = stack.use(await startEtcd()).url;
  if (setting.plane === 'nats') env['NATS_SERVER'] = stack.use(await startNats()).url;
  const worker = {
    ours: stack.use(start([...node, here('worker.ts'), pathOf('ours')], env)),
    theirs: stack.use(start([python, here('py_worker.py'), pathOf('theirs')], { ...env, BIDI: '1' })),
  };
  const client = { ours: node, theirs: [python] };
  const script = { ours: here('caller.ts'), theirs: here('py_caller.py') };
  const clients = sides.map((side) => {
    const plan = sides.flatMap((to) => planFor(side, to, setting.plane));
    return { side, ...stack.use(start([...client[side], script[side], JSON.stringify(plan)], env)) };
  });
  await Promise.all(clients.map((each) => each.until((line) => line['ready'] === true)));
  for (const each of clients) each.child.stdin!.write('go\n');
  await Promise.all(clients.map((each) => each.until((line) => line['begun'] === true, sides.length)));
  for (const side of sides) worker[side].child.kill('SIGTERM');
  await Promise.all(clients.map((each) => each.until((line) => line['name'] === 'after drain', sides.length)));
  const exits = await Promise.all(sides.map(async (side) => [side, await Promise.race([worker[side].ended, never()])] as const));
  const exitOf = Object.fromEntries(exits) as Record<Side, string>;
  return clients.flatMap((caller) =>
    sides.map((to) => ({
      ...setting,
      client: caller.side,
      worker: to,
      exit: exitOf[to],
      api: (caller.lines.find((line) => line['ready'] === true)?.['calls'] as string[] | undefined) ?? [],
      calls: callsOf(caller.lines, to),
      handlers: handlersOf(worker[to].lines, caller.side),
    })),
  );
}

/** Stands for the exit of a worker that does not end. */
const never = (): Promise<string> => once(AbortSignal.timeout(15_000), 'abort').then(() => 'never');

function callsOf(lines: readonly Line[], worker: Side): Map<string, Outcome> {
  const own = lines.filter((line) => line['worker'] === worker && 'end' in line);
  return new Map(own.map((line) => [line['name'] as string, line as unknown as Outcome]));
}

/** The last line about a request tells its end. */
function handlersOf(lines: readonly Line[], client: Side): Map<string, { stopped: boolean; killed: boolean }> {
  const own = lines.filter((line) => String(line['id']).startsWith(`${client}-`) && 'killed' in line);
  return new Map(own.map((line) => [String(line['id']).slice(client.length + 1), line as unknown as { stopped: boolean; killed: boolean }]));
}
