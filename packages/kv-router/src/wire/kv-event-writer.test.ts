import { encodeMsgpack } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { type KvChange, type RouterEvent, type Tier, toWire } from './kv-event.ts';
import { writeRouterEvents } from './kv-event-writer.ts';

/** Numbers of every width that MessagePack has. */
const numbers = [0n, 1n, 127n, 128n, 255n, 256n, 65_535n, 65_536n, 4_294_967_295n, 4_294_967_296n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

let state = 11;
const draw = (below: number): number => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const number = (): bigint => numbers[draw(numbers.length)] as bigint;
const count = (): number => Number(numbers[draw(10)]);
const list = <T>(make: () => T): T[] => Array.from({ length: draw(5) === 0 ? draw(70_000) % 300 : draw(20) }, make);

function change(): KvChange {
  const kind = draw(5);
  if (kind === 0) return { type: 'cleared' };
  if (kind === 1) return { type: 'removed', hashes: list(number) };
  const media = (): object => (draw(4) === 0 ? { media: [{ hash: number(), offsets: [[0, draw(9)] as const] }] } : {});
  const blocks = list(() => ({ blockHash: number(), tokensHash: number(), ...media() }));
  return { type: 'stored', parent: draw(2) === 0 ? undefined : number(), blocks, ...(draw(3) === 0 ? { startPosition: draw(1_000) } : {}) };
}

const event = (): RouterEvent => ({
  workerId: number(),
  dpRank: draw(300),
  tier: (['device', 'host_pinned', 'disk', 'external'] satisfies Tier[])[draw(4)] as Tier,
  ...(draw(4) === 0 ? {} : { domain: draw(2) === 0 ? 'worker' : 'cache_owner' }),
  id: count(),
  change: change(),
  ...(draw(4) === 0 ? { sessionId: 'sitzung ü '.repeat(draw(9)) } : {}),
});

test('what is written at once is what the general writer makes of the objects', () => {
  for (let round = 0; round < 300; round++) {
    const events = Array.from({ length: round === 0 ? 0 : 1 + draw(20) }, event);
    expect(Buffer.from(writeRouterEvents(events)).equals(Buffer.from(encodeMsgpack(events.map(toWire))))).toBe(true);
  }
});
