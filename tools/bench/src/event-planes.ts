import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from './median.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** One side's figures: what its subscriber took in a second, and what both ends used for an event. */
interface Figures {
  readonly eventsPerSecond: number;
  readonly publisherCpuUs: number;
  readonly subscriberCpuUs: number;
  readonly lost: number;
}

/** Measures the event planes from process to process, ours beside the real runtime, in turns; `nats` needs a server at `NATS_SERVER`. */
export async function eventPlanes(options: { python: string; planes: readonly string[]; count: number; rounds: number }): Promise<void> {
  const sides = { real: [options.python, here('../peers/event_peer.py')], ours: [process.execPath, here('./event-peer.ts')] };
  for (const plane of options.planes) {
    const figures: Record<keyof typeof sides, Figures[]> = { real: [], ours: [] };
    for (let round = 0; round < options.rounds; round++)
      for (const side of ['real', 'ours'] as const) {
        // Under much load a peer may miss its turn: the other rounds count.
        await run(sides[side], plane, options.count).then(
          (seen) => figures[side].push(seen),
          (error: unknown) => console.warn(`${side}: ${String(error)}`),
        );
      }
    for (const key of ['eventsPerSecond', 'publisherCpuUs', 'subscriberCpuUs', 'lost'] as const) {
      // Of time the best round, which is nearest to a machine that does nothing else.
      const of = (values: readonly number[]): number => (key === 'eventsPerSecond' ? Math.max(...values) : median(values));
      const [ours, real] = [of(figures.ours.map((each) => each[key])), of(figures.real.map((each) => each[key]))];
      console.log(`| ${plane} | ${key} | ${ours.toPrecision(3)} | ${real.toPrecision(3)} | ${(ours / real).toFixed(2)} |`);
    }
  }
}

async function run(command: readonly string[], plane: string, count: number): Promise<Figures> {
  const root = await mkdtemp(join(tmpdir(), 'dynamo-bench-'));
  const env = { ...process.env, DYN_FILE_KV: root, DYN_LOG: 'off', DYN_EVENT_PLANE: plane, DYN_EVENT_PLANE_HOST: '127.0.0.1' };
  const children: ChildProcess[] = [];
  const start = (role: 'say' | 'hear') => {
    const [program = '', ...args] = command;
    const child = spawn(program, [...args, role], { env, stdio: ['pipe', 'pipe', 'ignore'] });
    children.push(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => {
      const { done, value } = await lines.next();
      if (done === true) throw new Error(`the ${role} side of ${plane} has ended`);
      return value;
    };
    return { next, tell: (text: string) => child.stdin.write(text) };
  };
  try {
    const hearing = start('hear');
    await hearing.next();
    const saying = start('say');
    await saying.next();
    await hearing.next();
    saying.tell(`${count}\n`);
    // The publisher is silent for a second now.
    await sleep(500);
    hearing.tell(`${count}\n`);
    const heard = JSON.parse(await hearing.next()) as { events: number; seconds: number; cpuUs: number };
    const said = JSON.parse(await saying.next()) as { cpuUs: number };
    return { eventsPerSecond: heard.events / heard.seconds, publisherCpuUs: said.cpuUs, subscriberCpuUs: heard.cpuUs, lost: count - heard.events };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await rm(root, { recursive: true, force: true });
  }
}
