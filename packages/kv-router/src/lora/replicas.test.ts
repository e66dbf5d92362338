import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loraId } from '../hash/lora-id.ts';
import { rankPlaces, replicasOf } from './replicas.ts';

const vectors = new URL('../../../../vectors/lora-recorder-misc/', import.meta.url);
const read = (name: string): any => JSON.parse(readFileSync(new URL(name, vectors), 'utf8'));

test('every ranking is that of the rule', () => {
  const rows = read('lora_hrw.json') as { lora: string; workers: [string, number][]; ranked: [string, number, string][] }[];
  expect(rows.length).toBeGreaterThan(0);
  for (const { lora, workers, ranked } of rows) {
    const places = workers.map(([id, dpRank]) => ({ workerId: BigInt(id), dpRank }));
    expect(rankPlaces(lora, places)).toEqual(ranked.map(([id, dpRank, score]) => ({ workerId: BigInt(id), dpRank, score: BigInt(score) })));
  }
});

test('every adapter has the id of 1.6.1', () => {
  const ids = read('lora_name_to_id.json') as Record<string, number>;
  expect(Object.keys(ids).length).toBeGreaterThan(60);
  for (const [name, id] of Object.entries(ids)) expect([name, loraId(name)]).toEqual([name, id]);
});

test('full places are passed over, unless all are full', () => {
  const places = [1n, 2n, 3n, 4n].map((workerId) => ({ workerId, dpRank: 0 }));
  const ids = (chosen: readonly { workerId: bigint }[]): bigint[] => chosen.map(({ workerId }) => workerId);
  const all = ids(rankPlaces('a', places));
  expect(ids(replicasOf('a', places, { replicas: 2 }))).toEqual(all.slice(0, 2));
  expect(ids(replicasOf('a', places, { replicas: 2, hasSlot: ({ workerId }) => workerId !== all[0] }))).toEqual(all.slice(1, 3));
  expect(ids(replicasOf('a', places, { replicas: 2, hasSlot: () => false }))).toEqual(all.slice(0, 2));
  // Who leaves takes along only what it had.
  const rest = places.filter(({ workerId }) => workerId !== all[3]);
  expect(ids(replicasOf('a', rest, { replicas: 3 }))).toEqual(all.slice(0, 3));
});
