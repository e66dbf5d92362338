import { ApproximateIndex } from './approximate-index.ts';
import { EventIndex } from './event-index.ts';
import { NoIndex } from './no-index.ts';
import type { PrefixIndex, PrefixIndexOptions } from './prefix-index.ts';

/** Ways to know which rank holds which prefix, by the name that options use. */
export const prefixIndexes: { readonly [name in 'events' | 'approximate' | 'none']: (options: PrefixIndexOptions) => PrefixIndex } = {
  events: (options) => new EventIndex(options),
  approximate: (options) => new ApproximateIndex(options),
  none: (options) => new NoIndex(options),
};

/** The name of a prefix index. */
export type PrefixIndexName = keyof typeof prefixIndexes;
