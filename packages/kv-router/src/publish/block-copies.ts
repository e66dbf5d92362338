import { Core } from '../core/core.ts';
import { SequenceTable } from '../core/sequence-table.ts';
import { RankTable } from '../ranks.ts';
import type { Tier } from '../wire/kv-event.ts';

const tiers: readonly Tier[] = ['device', 'host_pinned', 'disk', 'external'];

/**
 * How often an engine has cached each block, by rank and tier (spec kv-router 15): a table in a core's memory, since an
 * engine has many blocks.
 */
export class BlockCopies {
  readonly #core = new Core();
  readonly #table = new SequenceTable(this.#core);
  /** A tier stands where a worker would. */
  readonly #places = new RankTable();

  /** One more copy of each. */
  add(hashes: BigUint64Array, dpRank: number, tier: Tier): void {
    this.#table.add(hashes, this.#placeOf(dpRank, tier));
  }

  /** One copy less of each; tells those of which it was the last, and those that nobody has told of: routers may know them from before. */
  remove(hashes: readonly bigint[], dpRank: number, tier: Tier): bigint[] {
    const place = this.#placeOf(dpRank, tier);
    if (new Set(hashes).size < hashes.length) return hashes.flatMap((hash) => this.#drop([hash], place));
    return this.#drop(hashes, place);
  }

  /** The rank's cache is empty, on every tier. */
  clear(dpRank: number): void {
    for (const tier of tiers) {
      const place = this.#places.find(BigInt(tiers.indexOf(tier)), dpRank);
      if (place === undefined) continue;
      this.#core.forgetRank(place);
      this.#places.release(place);
    }
  }

  #drop(hashes: readonly bigint[], place: number): bigint[] {
    const list = BigUint64Array.from(hashes);
    const copies = this.#table.holders(list, place);
    const last = hashes.filter((_, at) => (copies[at] ?? 0) <= 1);
    this.#table.remove(list, place);
    return last;
  }

  #placeOf(dpRank: number, tier: Tier): number {
    const key = BigInt(tiers.indexOf(tier));
    const known = this.#places.find(key, dpRank);
    if (known !== undefined) return known;
    const place = this.#places.intern(key, dpRank);
    this.#core.bindRank(place, key, dpRank);
    return place;
  }
}
