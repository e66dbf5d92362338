import { DynamoError } from '@dynamo/runtime';
import { type Core, outcomeTexts } from './core.ts';

/** Blocks behind each other that some ranks hold: whole, or the first few. */
export interface DumpedChain {
  /** 0 device, 1 host_pinned, 2 disk, 3 external. */
  readonly tier: number;
  /** Hash of the block before the first, if there is one. */
  readonly parent: bigint | undefined;
  readonly tokens: BigUint64Array;
  readonly blocks: BigUint64Array;
  /** (rank, how many of the blocks), two numbers each. */
  readonly holders: Uint32Array;
}

/**
 * Everything an index holds, parents before what is behind them (spec kv-router 3.6).
 *
 * The index must not change while the chains are read.
 */
export function* dumpChains(core: Core): Generator<DumpedChain> {
  if (!core.wasm.dumpStart()) throw full();
  for (let at = core.wasm.dumpNext(); at !== 0; at = core.wasm.dumpNext()) yield read(core, at, false);
  for (let at = core.wasm.dumpNextEdge(); at !== 0; at = core.wasm.dumpNextEdge()) yield read(core, at, true);
}

const full = (): DynamoError => new DynamoError('resource_exhausted', outcomeTexts[4] ?? '');

function read(core: Core, address: number, lower: boolean): DumpedChain {
  if (address === 1) throw full();
  const at = address >>> 0;
  const { words, hashes } = core;
  const count = words[at / 4 + 1] ?? 0;
  const first = at / 8 + 3;
  const holders = at / 4 + 6 + 4 * count;
  return {
    tier: lower ? (words[at / 4 + 5] ?? 0) : 0,
    parent: words[at / 4] === 0 ? undefined : hashes[at / 8 + 1],
    tokens: hashes.slice(first, first + count),
    blocks: hashes.slice(first + count, first + 2 * count),
    holders: words.slice(holders, holders + 2 * (words[at / 4 + 4] ?? 0)),
  };
}
