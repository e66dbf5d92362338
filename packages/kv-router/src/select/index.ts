import { costSelector } from './cost.ts';
import { loadOnly } from './load-only.ts';
import type { Selector } from './selector.ts';

/** Every selector that has a name: a new one is one file and one line here. */
export const selectors: Readonly<Record<SelectorName, Selector>> = { default: costSelector, 'load-only': loadOnly };

/** Names of the built-in selectors. */
export type SelectorName = 'default' | 'load-only';
