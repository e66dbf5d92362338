// What a router hears of its workers' caches, recorded as JSON lines and read back into an index of one's own.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockHashes, KvRecorder, loraId, RadixTree } from '@dynamo/internal';

const folder = await mkdtemp(join(tmpdir(), 'recorder-'));
const file = join(folder, 'events.jsonl');
const prompt = Array.from({ length: 64 }, (_, token) => token + 1);
const hashes = [...blockHashes(prompt, { blockSize: 16 })];

{
  await using recorder = await KvRecorder.open(file);
  // Two workers hold the prompt: one all of it, one its first two blocks.
  for (const [workerId, blocks] of [
    [7n, 4],
    [9n, 2],
  ] as const) {
    const stored = hashes.slice(0, blocks).map((tokensHash, index) => ({ tokensHash, blockHash: BigInt(100 + index) }));
    recorder.event({ workerId, dpRank: 0, id: 1, tier: 'device', change: { type: 'stored', parent: undefined, blocks: stored } });
  }
}

const tree = new RadixTree();
const read = await KvRecorder.replay(file, ({ workerId, dpRank, change }) => {
  if (change.type !== 'stored') return;
  const blocks = change.blocks.map(({ tokensHash, blockHash }) => `{"tokens_hash":${tokensHash},"block_hash":${blockHash}}`);
  tree.applyEvent(workerId, `{"event_id":1,"dp_rank":${dpRank},"data":{"stored":{"parent_hash":null,"blocks":[${blocks.join(',')}]}}}`);
});
const scores = tree.findMatches(hashes).scores;
console.log(`${read} events read, ${tree.counts.blocks} blocks held`);
for (const { workerId, score } of scores) console.log(`worker ${workerId} holds ${score} of ${hashes.length} blocks`);
assert.equal(loraId('sql-lora'), loraId('sql-lora'));
await rm(folder, { recursive: true });
