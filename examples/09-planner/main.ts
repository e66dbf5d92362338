// How many workers does a day need? A made-up day with forty requests a second at its peak is planned on paper, interval by
// interval, from what was known before each; the plan and its plots are written beside. No GPU and no model are needed.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const command = fileURLToPath(new URL('../../tools/cli/src/main.ts', import.meta.url));
const page = process.argv[2] ?? join(await mkdtemp(join(tmpdir(), 'dynamo-plan-')), 'plan.html');

// dynamo planner --synthetic-day 40 --max-gpu-budget 32 --report-html FILE
const flags = ['--synthetic-day', '40', '--max-gpu-budget', '32', '--report-html', page];
const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@dynamo/source', command, 'planner', ...flags]);
const plan = JSON.parse(stdout) as Record<string, number>;
const [planned = 0, peak = 0] = [plan['gpu_hours'], plan['gpu_hours_of_the_peak_all_day']];
console.log(`${plan['requests']} requests in ${plan['intervals']} intervals: at most ${plan['most_gpus']} GPUs, ${plan['changes']} changes`);
console.log(`${Math.round(planned)} GPU hours in place of ${Math.round(peak)}: ${Math.round(100 * (1 - planned / peak))} % fewer`);

assert.ok((plan['most_gpus'] ?? Infinity) <= 32);
assert.ok(planned < peak * 0.75);
assert.match(await readFile(page, 'utf8'), /<svg [\s\S]*Workers: decode/);
