import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Core, PromptHasher, RadixTree } from '@dynamo/kv-router/internal';

/*
 * The router's core as a system under test of the shared harness (`core/run.py`): hashing, applying events, queries.
 * It prints one JSON object on its last line. Run with `--expose-gc`; tools/bench/README of the harness names the lanes.
 */
const { values } = parseArgs({
  options: {
    workload: { type: 'string' },
    lanes: { type: 'string', default: 'hash,apply,churn,find' },
    'min-time': { type: 'string', default: '0.6' },
  },
});
if (values.workload === undefined) throw new Error('--workload FOLDER is missing');
const folder = values.workload;
const wanted = new Set(values.lanes.split(','));
const lanes: Record<string, Record<string, unknown>> = {};
const modulus = 2n ** 64n;

const read = (name: string): Buffer => readFileSync(join(folder, name));
const meta = JSON.parse(read('meta.json').toString()) as { load_blocks: number; churn_blocks: number };
const wall = (): number => performance.now() / 1e3;
const cpu = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

function percentiles(seconds: Float64Array): Record<string, number> {
  const sorted = seconds.toSorted();
  const at = (p: number): number => (sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))] ?? 0) * 1e6;
  return { p50_us: at(50), p99_us: at(99), mean_us: (sorted.reduce((sum, one) => sum + one, 0) / sorted.length) * 1e6 };
}

/** Events of a file, one a line: worker id, tab, JSON. */
function readEvents(name: string): { worker: bigint; json: Uint8Array }[] {
  const bytes = read(name);
  const events = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(10, at);
    const tab = bytes.indexOf(9, at);
    events.push({ worker: BigInt(bytes.toString('latin1', at, tab)), json: bytes.subarray(tab + 1, end) });
    at = end + 1;
  }
  return events;
}

function hashLanes(): void {
  const hasher = new PromptHasher(new Core());
  const bytes = read('tokens.bin');
  const minTime = Number(values['min-time']);
  let at = 4;
  for (let left = bytes.readUInt32LE(0); left > 0; left--) {
    const n = bytes.readUInt32LE(at);
    const tokens = Uint32Array.from({ length: n }, (_, i) => bytes.readUInt32LE(at + 4 + 4 * i));
    at += 4 + 4 * n;
    for (const blockSize of [16, 64]) {
      const local = hasher.local(hasher.hash(tokens, { blockSize }));
      const digest = local.reduce((x, hash) => (x * 31n + hash) % modulus, 0n);
      const batch = Math.max(1, Math.floor(65_536 / n));
      let calls = 0;
      let best = Infinity;
      const began = wall();
      const cpuBegan = cpu();
      while (wall() - began < minTime) {
        const start = wall();
        for (let i = 0; i < batch; i++) hasher.hash(tokens, { blockSize });
        best = Math.min(best, (wall() - start) / batch);
        calls += batch;
      }
      const each = (cpu() - cpuBegan) / calls;
      lanes[`hash_${n}_bs${blockSize}`] = { tokens_per_s: n / best, tokens_per_cpu_s: n / each, cpu_us_per_call: each * 1e6, digest: String(digest) };
    }
  }
}

function applyLane(tree: RadixTree): void {
  const events = readEvents('events.txt');
  const latencies = new Float64Array(events.length);
  globalThis.gc?.();
  const before = process.memoryUsage();
  const cpuBegan = cpu();
  const began = wall();
  for (const [i, { worker, json }] of events.entries()) {
    const start = performance.now();
    tree.applyEvent(worker, json);
    latencies[i] = (performance.now() - start) / 1e3;
  }
  const seconds = wall() - began;
  const used = cpu() - cpuBegan;
  globalThis.gc?.();
  const after = process.memoryUsage();
  lanes['apply'] = {
    events_per_s: events.length / seconds,
    blocks_per_s: meta.load_blocks / seconds,
    cpu_us_per_block: (used / meta.load_blocks) * 1e6,
    wall_s: seconds,
    rss_bytes_per_block: (after.rss - before.rss) / meta.load_blocks,
    index_bytes_per_block: tree.counts.bytes / meta.load_blocks,
    ...percentiles(latencies),
  };
}

function churnLane(tree: RadixTree): void {
  const events = readEvents('churn.txt');
  const cpuBegan = cpu();
  const began = wall();
  for (const { worker, json } of events) tree.applyEvent(worker, json);
  const seconds = wall() - began;
  const used = cpu() - cpuBegan;
  lanes['churn'] = {
    events_per_s: events.length / seconds,
    blocks_per_s: meta.churn_blocks / seconds,
    cpu_us_per_block: (used / meta.churn_blocks) * 1e6,
  };
}

function readQueries(): BigUint64Array[][] {
  const bytes = read('queries.bin');
  const classes: BigUint64Array[][] = [[], [], []];
  let at = 4;
  for (let left = bytes.readUInt32LE(0); left > 0; left--) {
    const n = bytes.readUInt32LE(at + 4);
    classes[bytes.readUInt32LE(at)]?.push(BigUint64Array.from({ length: n }, (_, i) => bytes.readBigUInt64LE(at + 8 + 8 * i)));
    at += 8 + 8 * n;
  }
  return classes;
}

function findLane(tree: RadixTree, name: string, queries: readonly BigUint64Array[]): void {
  let digest = 0n;
  for (const query of queries)
    for (const { workerId, score } of tree.findMatches(query).scores) digest = (digest + (workerId + 1n) * 1_000_003n * BigInt(score)) % modulus;
  const latencies = new Float64Array(queries.length);
  const cpuBegan = cpu();
  const began = wall();
  for (const [i, query] of queries.entries()) {
    const start = performance.now();
    tree.findMatches(query);
    latencies[i] = (performance.now() - start) / 1e3;
  }
  const seconds = wall() - began;
  const used = cpu() - cpuBegan;
  const again = wall();
  for (const query of queries) void tree.findMatches(query).scores;
  lanes[name] = {
    queries_per_s: queries.length / seconds,
    queries_per_s_with_scores: queries.length / (wall() - again),
    cpu_us_per_query: (used / queries.length) * 1e6,
    digest: String(digest),
    ...percentiles(latencies),
  };
}

if (wanted.has('hash')) hashLanes();
const tree = new RadixTree();
if (wanted.has('apply')) applyLane(tree);
if (wanted.has('churn')) churnLane(tree);
if (wanted.has('find'))
  for (const [i, queries] of readQueries().entries()) findLane(tree, ['find_full', 'find_shared', 'find_miss'][i] ?? '', queries);
console.log(JSON.stringify({ name: 'dynamo-kv-router', version: process.version, lanes }));
