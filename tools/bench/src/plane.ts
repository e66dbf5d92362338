import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/** One side's figures for one load. */
interface Figures {
  readonly callsPerSecond: number;
  readonly itemsPerSecond: number;
  readonly cpuUsPerCall: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const loads = [
  { name: 'calls, 1 in flight', items: 1, inFlight: 1 },
  { name: 'calls, 64 in flight', items: 1, inFlight: 64 },
  { name: 'streams of 1,000 items, 4 in flight', items: 1000, inFlight: 4 },
];

/**
 * Measures request-plane calls and stream items, ours to ours beside the real runtime to itself.
 *
 * The two take turns, so that a drifting machine weighs on both; ratios are medians over the rounds.
 */
export async function plane(options: { python: string; seconds: number; rounds: number }): Promise<void> {
  const sides = {
    real: { command: options.python, worker: [here('../peers/plane_worker.py')], client: [here('../peers/plane_client.py')] },
    ours: { command: process.execPath, worker: [here('./plane-worker.ts')], client: [here('./plane-client.ts')] },
  };
  const root = await mkdtemp(join(tmpdir(), 'dynamo-bench-'));
  const env = { ...process.env, DYN_FILE_KV: root, DYN_LOG: 'off', DYN_TCP_RPC_HOST: '127.0.0.1', DYN_TCP_RESPONSE_STREAM_HOST: '127.0.0.1' };
  const workers: ChildProcess[] = [];
  try {
    for (const [name, side] of Object.entries(sides)) {
      const worker = spawn(side.command, [...side.worker, `bench.${name}.generate`], { env, stdio: ['ignore', 'pipe', 'ignore'] });
      workers.push(worker);
      await once(worker.stdout!, 'data');
    }
    const run = async (name: 'real' | 'ours', load: (typeof loads)[number]): Promise<Figures> => {
      const side = sides[name];
      const args = [...side.client, `bench.${name}.generate`, `${load.items}`, `${load.inFlight}`, `${options.seconds}`];
      const caller = spawn(side.command, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
      const lines = (await text(caller.stdout)).trim().split('\n');
      return JSON.parse(lines.at(-1) ?? '') as Figures;
    };
    for (const load of loads) {
      const real: Figures[] = [];
      const ours: Figures[] = [];
      for (let round = 0; round < options.rounds; round++) {
        real.push(await run('real', load));
        ours.push(await run('ours', load));
      }
      report(load.name, real, ours);
    }
  } finally {
    for (const worker of workers) worker.kill('SIGTERM');
    await rm(root, { recursive: true, force: true });
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

function report(load: string, real: readonly Figures[], ours: readonly Figures[]): void {
  for (const key of ['callsPerSecond', 'itemsPerSecond', 'cpuUsPerCall', 'p50Ms', 'p99Ms'] as const) {
    const a = median(ours.map((figures) => figures[key]));
    const b = median(real.map((figures) => figures[key]));
    console.log(`| ${load} | ${key} | ${a.toPrecision(3)} | ${b.toPrecision(3)} | ${(a / b).toFixed(2)} |`);
  }
}
