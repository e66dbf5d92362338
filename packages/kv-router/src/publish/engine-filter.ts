import type { EngineEvent, EngineScope, EngineStored } from '../wire/engine-batch.ts';
import type { Tier } from '../wire/kv-event.ts';

/** An engine's event that concerns this worker's cache: its tier, and for stores the namespace that seeds the hashes. */
export type KeptEvent =
  | { readonly event: EngineStored; readonly tier: Tier; readonly salt: string | undefined }
  | { readonly event: Extract<EngineEvent, { type: 'removed' }>; readonly tier: Tier }
  | { readonly event: Extract<EngineEvent, { type: 'cleared' }>; readonly tier: 'device' };

const media: Readonly<Record<string, Tier>> = {
  GPU: 'device',
  DEVICE: 'device',
  CPU: 'host_pinned',
  CPU_PINNED: 'host_pinned',
  CPU_TIER1: 'host_pinned',
  CPU_TIER2: 'disk',
  DISK: 'disk',
  NVME: 'disk',
  STORAGE: 'disk',
  EXTERNAL: 'external',
  NETWORK: 'external',
  REMOTE: 'external',
  SHARED: 'external',
};

/** Attention that caches whole prefixes; other groups, such as sliding windows, can't be reused by a router. */
const wholePrefix: readonly string[] = ['full_attention', 'mla_attention', 'sink_full_attention'];

const saltPrefix = 'dynamo-cache-salt:';

/** A hash seen under two namespaces: its children are only known when they say their own. */
const ambiguous = Symbol('ambiguous');

/** What one rank has taught about its cache groups and namespaces. */
interface Learned {
  readonly kinds: Map<number, string>;
  /** Namespace of each stored hash; undefined for none. */
  readonly salts: Map<bigint, string | undefined | typeof ambiguous>;
}

/** Keeps the events of an engine that a router can use, in the order of the rules of spec kv-router 14.3. */
export class EngineFilter {
  readonly #ranks = new Map<number, Learned>();

  /** The event with its tier and namespace, or undefined when it is none of ours. */
  keep(event: EngineEvent, dpRank: number): KeptEvent | undefined {
    if (event.type === 'ignored' || event.ownership !== undefined) return undefined;
    const learned = this.#rank(dpRank);
    if (event.type === 'cleared') {
      learned.salts.clear();
      return { event, tier: 'device' };
    }
    if (event.locality !== undefined && event.locality !== 'LOCAL') return undefined;
    const tier = event.medium === undefined ? 'device' : media[event.medium];
    if (tier === undefined) return undefined;
    const lower = tier === 'disk' || tier === 'external';
    if (!lower && !this.#reusable(event, learned, event.type === 'stored')) return undefined;
    if (event.type === 'removed') {
      if (!lower) for (const hash of event.hashes) if (learned.salts.get(hash) !== ambiguous) learned.salts.delete(hash);
      return { event, tier };
    }
    if (lower) return { event, tier, salt: ownSalt(event) };
    const salt = namespaceOf(event, learned.salts);
    if (salt === ambiguous) return undefined;
    remember(event.hashes, salt, learned.salts);
    return { event, tier, salt };
  }

  #rank(dpRank: number): Learned {
    let learned = this.#ranks.get(dpRank);
    if (learned === undefined) this.#ranks.set(dpRank, (learned = { kinds: new Map(), salts: new Map() }));
    return learned;
  }

  #reusable({ group, kind }: EngineScope, { kinds }: Learned, teaches: boolean): boolean {
    if (kind !== undefined) {
      if (teaches && group !== undefined) kinds.set(group, kind);
      return wholePrefix.includes(kind);
    }
    if (group === undefined) return true;
    const known = kinds.get(group);
    return known === undefined ? group === 0 : wholePrefix.includes(known);
  }
}

function namespaceOf(event: EngineStored, salts: Learned['salts']): string | undefined | typeof ambiguous {
  const own = ownSalt(event);
  if (own !== undefined || event.parent === undefined) return own;
  return salts.get(event.parent);
}

/** The namespace that the event names itself: a member of its own, or a marked text among the first block's extra keys. */
function ownSalt(event: EngineStored): string | undefined {
  if (event.salt !== undefined) return event.salt;
  const first = event.extraKeys?.[0];
  if (!Array.isArray(first)) return undefined;
  let loraSeen = false;
  for (const key of first) {
    if (typeof key !== 'string') continue;
    if (!loraSeen && key === event.loraName) loraSeen = true;
    else if (key.startsWith(saltPrefix) && key.length > saltPrefix.length) return key.slice(saltPrefix.length);
  }
  return undefined;
}

function remember(hashes: readonly bigint[], salt: string | undefined, salts: Learned['salts']): void {
  for (const hash of hashes) {
    const before = salts.get(hash);
    salts.set(hash, salts.has(hash) && before !== salt ? ambiguous : salt);
  }
}
