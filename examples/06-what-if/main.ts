// What would another way of routing have brought? The same hour of requests runs twice over four simulated workers, in
// turn and by cache, in a second or two on this machine; no GPU and no model are needed.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const command = path('../../tools/cli/src/main.ts');
// One line a request: when it came, how long it was, and which blocks of 512 tokens its prompt has.
const trace = process.argv[2] ?? path('../../vectors/traces/mooncake_trace_1000.jsonl');

interface Summary {
  readonly completed_requests: number;
  readonly mean_ttft_ms: number;
  readonly p95_ttft_ms: number;
  readonly prefix_cache_reused_ratio: number;
}

/** dynamo replay --trace FILE --num-workers 4 --router-mode MODE --format json */
async function replay(mode: 'round-robin' | 'kv'): Promise<Summary> {
  const flags = ['--trace', trace, '--num-workers', '4', '--router-mode', mode, '--seed', '1', '--format', 'json'];
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@dynamo/source', command, 'replay', ...flags], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return (JSON.parse(stdout) as { summary: Summary }).summary;
}

const runs = { 'in turn': await replay('round-robin'), 'by cache': await replay('kv') };
for (const [name, { mean_ttft_ms: mean, p95_ttft_ms: p95, prefix_cache_reused_ratio: reused }] of Object.entries(runs))
  console.log(
    `${name}: first token after ${Math.round(mean)} ms (p95 ${Math.round(p95)} ms), ${Math.round(reused * 100)} % of the prompts from the cache`,
  );
const winner = runs['by cache'].mean_ttft_ms < runs['in turn'].mean_ttft_ms ? 'by cache' : 'in turn';
console.log(`${winner} wins`);

if (process.argv[2] === undefined) {
  assert.equal(runs['by cache'].completed_requests, runs['in turn'].completed_requests);
  assert.ok(runs['by cache'].prefix_cache_reused_ratio > runs['in turn'].prefix_cache_reused_ratio);
  assert.equal(winner, 'by cache');
}
