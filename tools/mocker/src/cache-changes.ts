import type { CacheChange } from '@dynamo/internal';
import type { KvChange } from '@dynamo/kv-router/internal';

/** What a pass changed in the cache, as publishers take it. */
export const kvChanges = (changes: readonly CacheChange[]): KvChange[] =>
  changes.map((change) => {
    if (change.type === 'removed') return { type: 'removed', hashes: [...change.hashes] };
    const { sequence, from, count } = change;
    const names = wide(sequence.names);
    const locals = wide(sequence.locals);
    return {
      type: 'stored',
      parent: from === 0 ? undefined : names[from - 1],
      blocks: Array.from({ length: count }, (_, index) => ({ blockHash: names[from + index] ?? 0n, tokensHash: locals[from + index] ?? 0n })),
    };
  });

const wide = (words: Uint32Array<ArrayBuffer>): BigUint64Array => new BigUint64Array(words.buffer, words.byteOffset, words.length >> 1);
