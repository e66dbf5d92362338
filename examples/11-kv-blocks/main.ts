// A conversation comes back after its KV cache had to leave memory: its blocks are found on disk and brought back, so that
// only what is new has to be computed. No GPU and no model are needed: numbers stand for what attention would have computed.
import assert from 'node:assert/strict';
import { BlockManager } from '@dynamo/internal';

await using manager = await BlockManager.open({
  // What one block holds: four tokens, two layers, keys and values of eight numbers.
  shape: { layers: 2, pageSize: 4, outerDim: 2, innerDim: 8, dataType: 'fp32' },
  host: { blocks: 4 },
  disk: { blocks: 16, filter: 'none' },
  events: (tier, changes) => console.log(`told routers: ${changes.map(({ type }) => type).join(', ')} (${tier})`),
});

/** Computes a prompt of four blocks into memory, under its tokens' names. */
async function compute(tokens: readonly number[]): Promise<void> {
  const blocks = await manager.allocateHostBlocks(4);
  for (const [at, content] of manager.tokenBlocks(tokens).entries()) {
    blocks
      .at(at)
      .data()
      .fill((content.tokens[0] ?? 0) as never);
    blocks.at(at).applyTokenBlock(content);
  }
  // From here on others find them; disposing says that this request needs them no more.
  manager.host?.register(blocks)[Symbol.dispose]();
  await manager.settled();
}

const first = Array.from({ length: 16 }, (_, at) => at);
const second = first.map((token) => token + 100);
await compute(first);
// There is room for one prompt: the second one pushes the first out of memory.
await compute(second);

const asked = [...first, 16, 17];
using found = manager.match(manager.tokenBlocks(asked).map(({ sequenceHash }) => sequenceHash));
console.log(`the conversation is back: ${found.host.length} blocks in memory, ${found.disk.length} on disk`);
using brought = await manager.onboard(found.disk);
for (const [at, block] of [...brought].entries()) assert.ok([...block.data()].every((number) => number === 4 * at));
console.log(`${brought.length * manager.pageSize} of ${asked.length} tokens need no computing`);
assert.equal(brought.length, 4);
