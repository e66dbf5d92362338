import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { RadixTree } from './radix-tree.ts';

const scripts = readFileSync(new URL('../../../../vectors/kv-router/radix_tree.jsonl', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line));

/** An event as a publisher writes it: the vectors have 64-bit numbers in quotes. */
const wire = (event: unknown): string => JSON.stringify(event).replaceAll(/"(\d+)"/g, '$1');

const parse = (text: string): any => JSON.parse(text, (_key, value, context?: any) => (typeof value === 'number' ? String(context.source) : value));

function dumped(tree: RadixTree): string[] {
  return tree
    .dumpTreeAsEvents()
    .map(parse)
    .map(({ worker_id, event: { data, dp_rank } }) =>
      JSON.stringify([worker_id, Number(dp_rank), data.stored.parent_hash, data.stored.blocks.map((b: any) => [b.tokens_hash, b.block_hash])]),
    )
    .toSorted();
}

test('there are scripts', () => expect(scripts.length).toBe(48));

test.each(scripts.map((script) => [script.script, script.profile, script] as const))('script %i, %s', (_i, _profile, script) => {
  const tree = new RadixTree();
  for (const [step, op] of script.ops.entries()) {
    let result = 'ok';
    if (op.op === 'event') {
      try {
        tree.applyEvent(BigInt(op.worker_id), wire(op.event));
      } catch (error) {
        result = (error as Error).message;
      }
    } else if (op.op === 'remove_worker') tree.removeWorker(BigInt(op.worker_id));
    else tree.clearAllBlocks(BigInt(op.worker_id));
    expect([step, result]).toEqual([step, op.result === 'ok' ? 'ok' : op.result.replace(/^\w+: /, '')]);
    for (const query of op.queries ?? []) {
      const { scores, frequencies } = tree.findMatches(query.sequence.map(BigInt), { earlyExit: query.early_exit });
      const sorted = scores
        .map(({ workerId, dpRank, score }) => [workerId, dpRank, score] as const)
        .toSorted(([a, b], [c, d]) => (a === c ? b - d : a < c ? -1 : 1));
      expect([step, sorted]).toEqual([
        step,
        query.scores
          .map(([id, dp, score]: any) => [BigInt(id), dp, score])
          .toSorted(([a, b]: any, [c, d]: any) => (a === c ? b - d : a < c ? -1 : 1)),
      ]);
      expect(frequencies).toEqual(query.frequencies);
    }
    if (op.dump !== undefined)
      expect([step, dumped(tree)]).toEqual([
        step,
        op.dump.map(([id, dp, parent, blocks]: any) => JSON.stringify([String(id), dp, parent, blocks])).toSorted(),
      ]);
  }
});
