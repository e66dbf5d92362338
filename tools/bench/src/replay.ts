import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type ReplayOptions, replayOffline } from '@dynamo/replay';

const trace = fileURLToPath(new URL('../../../vectors/traces/mooncake_trace_1000.jsonl', import.meta.url));
const synthetic = { inputTokens: 1024, outputTokens: 128, requests: 100_000, ratePerSecond: 40, sharedPrefix: 0.5, groups: 20 };

interface Figure {
  readonly requests: number;
  readonly cpuMs: number;
}

/** Simulated requests a second of CPU, ours beside the real offline replay: a trace of 1,000 rows and 100,000 made-up requests. */
export async function replay(options: { readonly python: string; readonly rounds: number }): Promise<void> {
  console.log('| workload, 4 workers | router | ours, first run | ours | real | ours / real |\n|---|---|---:|---:|---:|---:|');
  for (const [name, workload, rounds] of [
    ['1,000 rows of a trace', { trace: [trace] }, 4 * options.rounds],
    ['100,000 made up', { synthetic }, options.rounds],
  ] as const) {
    for (const placement of ['round-robin', 'kv'] as const) {
      const ours = await measureOurs({ ...workload, workers: 4, placement }, rounds);
      const real = measureReal('trace' in workload ? trace : 'synthetic', {
        ...options,
        rounds,
        mode: placement === 'kv' ? 'kv_router' : 'round_robin',
      });
      const [first, best] = [rate(ours[0]), Math.max(...ours.map(rate))];
      const other = Math.max(0, ...real.map(rate));
      console.log(`| ${name} | ${placement} | ${cell(first)} | ${cell(best)} | ${cell(other)} | ${other === 0 ? '' : (best / other).toFixed(2)} |`);
    }
  }
}

const rate = (figure: Figure | undefined): number => (figure === undefined ? 0 : (figure.requests / figure.cpuMs) * 1_000);
const cell = (value: number): string => (value === 0 ? '' : Math.round(value).toLocaleString('en'));

async function measureOurs(options: ReplayOptions, rounds: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    const { report } = await replayOffline(options);
    const { user, system } = process.cpuUsage(before);
    figures.push({ requests: Number(report.summary['num_requests']), cpuMs: (user + system) / 1_000 });
  }
  return figures;
}

function measureReal(workload: string, { python, mode, rounds }: { python: string; mode: string; rounds: number }): Figure[] {
  const script = fileURLToPath(new URL('../peers/replay_speed.py', import.meta.url));
  const { stdout } = spawnSync(python, [script, workload, mode, String(rounds)], { encoding: 'utf8', env: { ...process.env, DYN_LOG: 'off' } });
  return (stdout ?? '')
    .split('\n')
    .filter((line) => line.startsWith('FIGURE '))
    .map((line) => JSON.parse(line.slice('FIGURE '.length)) as Figure);
}
