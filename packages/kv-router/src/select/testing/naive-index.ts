import { xxh3 } from '@node-rs/xxhash';
import { fromBigints, type SequenceHashes } from '../../load/sequence-table.ts';
import type { TierOverlaps } from '../selector.ts';

/** Local and sequence hashes of the complete blocks of a prompt (spec kv-router 1), slow and plain. */
export function hashesOf(tokens: readonly number[], blockSize: number): { local: bigint[]; sequence: SequenceHashes } {
  const local: bigint[] = [];
  for (let at = 0; at + blockSize <= tokens.length; at += blockSize) {
    local.push(xxh3.xxh64(Buffer.from(Uint32Array.from(tokens.slice(at, at + blockSize)).buffer), 1337n));
  }
  const chained: bigint[] = [];
  for (const hash of local) {
    const previous = chained.at(-1);
    chained.push(previous === undefined ? hash : xxh3.xxh64(Buffer.from(BigUint64Array.of(previous, hash).buffer), 1337n));
  }
  return { local, sequence: fromBigints(chained) };
}

const tiers = ['device', 'host', 'disk', 'external'] as const;
type Tier = (typeof tiers)[number];

/** What ranks hold, one plain map a rank and tier: (parent, tokens hash) to block hash. Enough for engines that keep their events in order. */
export class NaiveIndex {
  readonly #edges = new Map<string, bigint>();

  stored(rank: number, tier: Tier, blocks: { parent: bigint | undefined; local: readonly bigint[]; hashes: readonly bigint[] }): void {
    let parent = blocks.parent;
    for (const [at, local] of blocks.local.entries()) {
      const hash = blocks.hashes[at];
      if (hash === undefined) return;
      this.#edges.set(`${rank} ${tier} ${parent} ${local}`, hash);
      parent = hash;
    }
  }

  removed(rank: number, tier: Tier, hashes: readonly bigint[]): void {
    for (const [key, hash] of this.#edges) if (key.startsWith(`${rank} ${tier} `) && hashes.includes(hash)) this.#edges.delete(key);
  }

  cleared(rank: number): void {
    for (const key of this.#edges.keys()) if (key.startsWith(`${rank} `)) this.#edges.delete(key);
  }

  find(local: readonly bigint[], ranks: number): TierOverlaps {
    const columns = { device: new Uint32Array(ranks), host: new Uint32Array(ranks), disk: new Uint32Array(ranks), external: new Uint32Array(ranks) };
    for (let rank = 0; rank < ranks; rank++) {
      let at = 0;
      let last: bigint | undefined;
      for (const tier of tiers) {
        const from = at;
        for (;;) {
          const next = this.#edges.get(`${rank} ${tier} ${last} ${local[at]}`);
          if (at >= local.length || next === undefined) break;
          last = next;
          at++;
        }
        columns[tier][rank] = at - from;
      }
    }
    return columns;
  }
}
