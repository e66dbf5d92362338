import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { median } from './median.ts';

/** What a caller does again and again. */
interface Load {
  readonly name: string;
  /** Items of one answer. */
  readonly items: number;
  readonly inFlight: number;
  /** Letters of text in each request, and in each item. */
  readonly requestBytes?: number;
  readonly itemBytes?: number;
}

/** One side's figures for one load. */
interface Figures {
  readonly callsPerSecond: number;
  readonly itemsPerSecond: number;
  readonly mbPerSecond: number;
  readonly callerCpuUs: number;
  readonly workerCpuUs: number;
  /** Both together: what a call costs the machine, whoever else works on it. */
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

type Side = 'real' | 'ours';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** What is measured, and the figures that say something about it. */
const loads: readonly (readonly [Load, readonly (keyof Figures)[]])[] = [
  [{ name: 'calls, 1 in flight', items: 1, inFlight: 1 }, ['callsPerSecond', 'callerCpuUs', 'workerCpuUs', 'cpuUs', 'p50Ms', 'p99Ms']],
  [{ name: 'calls, 64 in flight', items: 1, inFlight: 64 }, ['callsPerSecond', 'callerCpuUs', 'workerCpuUs', 'cpuUs', 'p50Ms', 'p99Ms']],
  [{ name: 'streams of 1,000 items, 4 in flight', items: 1000, inFlight: 4 }, ['itemsPerSecond', 'callerCpuUs', 'workerCpuUs', 'cpuUs']],
  // A request must fit what a nats-server takes.
  [
    { name: 'requests of 512 KiB, 4 in flight', items: 1, inFlight: 4, requestBytes: 1 << 19 },
    ['mbPerSecond', 'callerCpuUs', 'workerCpuUs', 'cpuUs'],
  ],
  [{ name: 'answers of 1 MiB, 4 in flight', items: 1, inFlight: 4, itemBytes: 1 << 20 }, ['mbPerSecond', 'callerCpuUs', 'workerCpuUs', 'cpuUs']],
];

/**
 * Measures the request planes, ours to ours beside the real runtime to itself; `nats` needs a server at `NATS_SERVER`.
 *
 * The two take turns, so that a drifting machine weighs on both; of time the best round is told, of CPU the median.
 */
export async function plane(options: { python: string; planes: readonly string[]; seconds: number; rounds: number }): Promise<void> {
  for (const name of options.planes) await onPlane(name, options);
}

async function onPlane(plane: string, options: { python: string; seconds: number; rounds: number }): Promise<void> {
  const sides = {
    real: { command: options.python, worker: [here('../peers/plane_worker.py')], client: [here('../peers/plane_client.py')] },
    ours: { command: process.execPath, worker: [here('./plane-worker.ts')], client: [here('./plane-client.ts')] },
  };
  const root = await mkdtemp(join(tmpdir(), 'dynamo-bench-'));
  const local = { DYN_TCP_RPC_HOST: '127.0.0.1', DYN_TCP_RESPONSE_STREAM_HOST: '127.0.0.1' };
  const env = { ...process.env, ...local, DYN_FILE_KV: root, DYN_LOG: 'off', DYN_REQUEST_PLANE: plane };
  const workers: ChildProcess[] = [];
  try {
    for (const [name, side] of Object.entries(sides)) {
      const worker = spawn(side.command, [...side.worker, `bench.${name}.generate`], { env, stdio: ['ignore', 'pipe', 'ignore'] });
      workers.push(worker);
      await once(worker.stdout!, 'data');
    }
    const run = async (name: Side, load: Load): Promise<Figures> => {
      const { command, client } = sides[name];
      const worker = workers[name === 'real' ? 0 : 1]?.pid ?? 0;
      const args = [...client, `bench.${name}.generate`, JSON.stringify(load), `${options.seconds}`];
      const caller = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
      let before = 0;
      for await (const line of createInterface({ input: caller.stdout })) {
        // Its warm-up is over.
        if (line === 'begun') before = cpuUsOf(worker);
        if (!line.startsWith('{')) continue;
        const used = cpuUsOf(worker) - before;
        const { calls, ...figures } = JSON.parse(line) as Figures & { calls: number };
        const bytes = (load.requestBytes ?? 0) + (load.itemBytes ?? 0);
        const workerCpuUs = used / calls;
        return { ...figures, workerCpuUs, cpuUs: figures.callerCpuUs + workerCpuUs, mbPerSecond: (figures.callsPerSecond * bytes) / 1e6 };
      }
      throw new Error(`the ${name} caller said nothing of '${load.name}'`);
    };
    for (const [load, keys] of loads) {
      const figures: Record<Side, Figures[]> = { real: [], ours: [] };
      for (let round = 0; round < options.rounds; round++) for (const name of ['real', 'ours'] as const) figures[name].push(await run(name, load));
      report(`${plane} | ${load.name}`, keys, figures);
    }
  } finally {
    for (const worker of workers) worker.kill('SIGTERM');
    await rm(root, { recursive: true, force: true });
  }
}

/** What a process has used of a processor so far, in microseconds, all its threads together. */
function cpuUsOf(pid: number): number {
  const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const fields = rest.split(' ');
  // The kernel counts in hundredths of a second; user and system time are the 14th and 15th field of the line.
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

const most = (values: readonly number[]): number => Math.max(...values);
const least = (values: readonly number[]): number => Math.min(...values);

/** What is told of the rounds: of time the best, which is nearest to a machine that does nothing else, and of CPU the median. */
const told: Readonly<Record<keyof Figures, (values: readonly number[]) => number>> = {
  callsPerSecond: most,
  itemsPerSecond: most,
  mbPerSecond: most,
  callerCpuUs: median,
  workerCpuUs: median,
  cpuUs: median,
  p50Ms: least,
  p99Ms: least,
};

function report(title: string, keys: readonly (keyof Figures)[], figures: Record<Side, readonly Figures[]>): void {
  for (const key of keys) {
    const ours = told[key](figures.ours.map((each) => each[key]));
    const real = told[key](figures.real.map((each) => each[key]));
    console.log(`| ${title} | ${key} | ${ours.toPrecision(3)} | ${real.toPrecision(3)} | ${(ours / real).toFixed(2)} |`);
  }
}
