import type { InstanceId } from '@dynamo/runtime';
import { blake3 } from '../hash/blake3.ts';

/** A rank of a worker that may keep an adapter. */
export interface AdapterPlace {
  readonly workerId: InstanceId;
  readonly dpRank: number;
}

/** A place with its score. */
export type RankedPlace = AdapterPlace & { readonly score: bigint };

/**
 * Places in the order in which they get an adapter, by rendezvous hashing: who comes or goes moves only what is its own
 * (spec lora-recorder-misc 3).
 */
export function rankPlaces(adapter: string, places: readonly AdapterPlace[]): readonly RankedPlace[] {
  const name = new TextEncoder().encode(adapter);
  const bytes = new Uint8Array(name.length + 12);
  const view = new DataView(bytes.buffer);
  bytes.set(name);
  return places
    .map((place) => {
      view.setBigUint64(name.length, place.workerId, true);
      view.setUint32(name.length + 8, place.dpRank, true);
      return { ...place, score: new DataView(blake3(bytes).buffer).getBigUint64(0, true) };
    })
    .toSorted((a, b) => compare(b.score, a.score) || compare(a.workerId, b.workerId) || a.dpRank - b.dpRank);
}

/**
 * The places that keep an adapter's replicas: the first of its ranking that have a slot free. Where none has, slots don't count.
 */
export function replicasOf(
  adapter: string,
  places: readonly AdapterPlace[],
  { replicas, hasSlot }: { replicas: number; hasSlot?: (place: AdapterPlace) => boolean },
): readonly RankedPlace[] {
  const ranked = rankPlaces(adapter, places);
  const free = hasSlot === undefined ? ranked : ranked.filter(hasSlot);
  return (free.length > 0 ? free : ranked).slice(0, replicas);
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
