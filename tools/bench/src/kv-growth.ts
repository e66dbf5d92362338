import { Core } from '@dynamo/kv-router/internal';
import { median } from './median.ts';

/** Blocks of one prompt; half of them belong to one of 64 shared beginnings. */
const length = 128;

/**
 * What storing and finding cost while the index grows, and with how many workers: `sizes` at 64 workers, then `workers` at the
 * first size. A cost that follows the size would show here.
 */
export function kvGrowth({ sizes, workers }: { sizes: readonly number[]; workers: readonly number[] }): void {
  console.log('worker-blocks   workers   store, µs a block   find 128, µs   bytes a worker-block');
  const first = sizes[0] ?? 1_000_000;
  grow({ sizes, ranks: 64 });
  for (const ranks of workers) grow({ sizes: [first], ranks });
}

function grow({ sizes, ranks }: { sizes: readonly number[]; ranks: number }): void {
  const core = new Core();
  for (let rank = 0; rank < ranks; rank++) core.bindRank(rank, BigInt(rank), 0);
  const prompts = new Prompts();
  for (const size of sizes) {
    const spent: number[] = [];
    while (core.counts().blocks < size) {
      // Hashes are made outside of the measured part.
      const batch = Array.from({ length: 200 }, () => prompts.next());
      const began = performance.now();
      for (const { index, tokens, blocks } of batch) core.store(0, index % ranks, undefined, { tokens, blocks });
      spent.push(((performance.now() - began) * 1e3) / (200 * length));
    }
    const found = Array.from({ length: 4_000 }, () => {
      const { tokens } = prompts.known();
      const began = performance.now();
      core.find(tokens);
      return (performance.now() - began) * 1e3;
    });
    const { blocks, bytes } = core.counts();
    const store = median(spent.slice(-200)).toFixed(2);
    console.log(
      `${String(blocks).padStart(13)} ${String(ranks).padStart(9)} ${store.padStart(19)} ${median(found).toFixed(2).padStart(14)} ${(bytes / blocks).toFixed(1).padStart(22)}`,
    );
  }
}

interface Prompt {
  readonly index: number;
  readonly tokens: BigUint64Array;
  readonly blocks: BigUint64Array;
}

/** Prompts as chains of hashes: the same ones again on every run. */
class Prompts {
  readonly #shared: readonly BigUint64Array[];
  readonly #kept: Prompt[] = [];
  #seed = 42n;
  #count = 0;

  constructor() {
    this.#shared = Array.from({ length: 64 }, () => BigUint64Array.from({ length: length / 2 }, () => this.#random()));
  }

  next(): Prompt {
    const index = this.#count++;
    const tokens = new BigUint64Array(length);
    const from = index % 2 === 0 ? length / 2 : 0;
    if (from > 0) tokens.set(this.#shared[(index >> 1) % this.#shared.length] as BigUint64Array);
    for (let at = from; at < length; at++) tokens[at] = this.#random();
    let hash = 0n;
    const blocks = tokens.map((token) => (hash = BigInt.asUintN(64, hash * 31n + token)));
    const prompt = { index, tokens, blocks };
    // Enough to outgrow every cache of the processor when they are looked up again.
    if (index % 5 === 0) this.#kept[(index / 5) % 20_000] = prompt;
    return prompt;
  }

  /** One that is in the index. */
  known(): Prompt {
    return this.#kept[Number(this.#random() % BigInt(this.#kept.length))] as Prompt;
  }

  #random(): bigint {
    this.#seed = BigInt.asUintN(64, this.#seed + 0x9e3779b97f4a7c15n);
    const z = BigInt.asUintN(64, (this.#seed ^ (this.#seed >> 30n)) * 0xbf58476d1ce4e5b9n);
    return z ^ (z >> 27n);
  }
}
