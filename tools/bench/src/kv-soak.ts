import { parseArgs } from 'node:util';
import { Core } from '@dynamo/kv-router/internal';

/*
 * Sends many distinct blocks through a capped index and shows that memory stays flat: `node --conditions=@dynamo/source
 * tools/bench/src/kv-soak.ts [--blocks 10000000] [--cap 500000] [--tiers]`. Leaves with 1 when it does not.
 */
const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '10000000' },
    cap: { type: 'string', default: '500000' },
    ranks: { type: 'string', default: '64' },
    tiers: { type: 'boolean', default: false },
  },
});
const total = Number(values.blocks);
const ranks = Number(values.ranks);
const length = 128;
const core = new Core({ maxBlocks: Number(values.cap) });
for (let rank = 0; rank < ranks; rank++) core.bindRank(rank, BigInt(rank), 0);

let seed = 42n;
const random = (): bigint => {
  seed = BigInt.asUintN(64, seed + 0x9e3779b97f4a7c15n);
  const z = BigInt.asUintN(64, (seed ^ (seed >> 30n)) * 0xbf58476d1ce4e5b9n);
  return z ^ (z >> 27n);
};

/** A prompt that shares its first half with earlier ones half of the time, as a chain of token and block hashes. */
const shared = Array.from({ length: 64 }, () => BigUint64Array.from({ length: length / 2 }, random));
const tokens = new BigUint64Array(length);
const blocks = new BigUint64Array(length);
let distinct = 0;
let stores = 0;

function nextPrompt(): void {
  const from = stores % 2 === 0 ? length / 2 : 0;
  if (from > 0) tokens.set(shared[(stores >> 1) % shared.length] as BigUint64Array);
  for (let i = from; i < length; i++) tokens[i] = random();
  let hash = 0n;
  for (let i = 0; i < length; i++) blocks[i] = hash = BigInt.asUintN(64, hash * 31n + (tokens[i] as bigint));
  distinct += length - from;
}

const samples: number[] = [];
const failures: number[] = [];
while (distinct < total) {
  nextPrompt();
  const rank = stores % ranks;
  const result = core.store(values.tiers ? (stores >> 3) % 4 : 0, rank, undefined, { tokens, blocks });
  if (result !== 0) failures.push(result);
  if (stores % 3 === 0) core.find(tokens);
  if (stores % 7 === 0) core.remove(0, rank, blocks.slice(length - 8).reverse());
  stores++;
  if (distinct >= (samples.length + 1) * (total / 10)) {
    const { nodes, blocks: held, lowerBlocks, memoryBytes, bytes, evictedBlocks } = core.counts();
    samples.push(memoryBytes);
    const facts = { distinct, held, lowerBlocks, nodes, bytes, memoryBytes, rss: process.memoryUsage().rss, evictedBlocks };
    console.log(JSON.stringify(facts));
  }
}
const half = samples[Math.floor(samples.length / 2) - 1] ?? 0;
const last = samples.at(-1) ?? 0;
for (let rank = 0; rank < ranks; rank++) core.forgetRank(rank);
const { nodes, blocks: left, lowerBlocks, bytes: leftBytes } = core.counts();
const flat = last <= half * 1.05;
console.log(`memory after half ${half}, at the end ${last}: ${flat ? 'flat' : 'GROWS'}; ${failures.length} of ${stores} stores failed`);
console.log(`all ranks forgotten: ${leftBytes} bytes, ${nodes} node, ${left} blocks, ${lowerBlocks} on lower tiers`);
if (!flat || failures.length > 0 || nodes !== 1 || left + lowerBlocks !== 0) process.exitCode = 1;
