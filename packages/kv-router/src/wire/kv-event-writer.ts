import { encodeMsgpack } from '@dynamo/runtime/internal';
import type { KvChange, MediaObject, RouterEvent, StoredBlock, Tier } from './kv-event.ts';

/** What never changes is made once: map heads with the names behind them. */
const text = (...parts: readonly (number | string)[]): Uint8Array =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : Buffer.concat([Buffer.of(0xa0 | part.length), Buffer.from(part)]))),
  );
const map = (members: number): number => 0x80 | members;
const nil = 0xc0;

const eventHeads = new Map<number, Uint8Array>([3, 4, 5].map((members) => [members, text(map(members), 'worker_id')]));
const tiers: Readonly<Record<Tier, Uint8Array>> = {
  device: text('storage_tier', 'device'),
  host_pinned: text('storage_tier', 'host_pinned'),
  disk: text('storage_tier', 'disk'),
  external: text('storage_tier', 'external'),
};
const domains = { worker: text('residency_domain', 'worker'), cache_owner: text('residency_domain', 'cache_owner') } as const;
const inner = text('event', map(3), 'event_id');
const dataName = text('data');
const rankName = text('dp_rank');
const cleared = text('cleared');
const removedHead = text(map(1), 'removed', map(1), 'block_hashes');
const storedHead = text(map(1), 'stored', map(3), 'parent_hash');
const startName = text('start_position');
const blocksName = text('blocks');
const blockHead = text(map(3), 'block_hash');
const tokensName = text('tokens_hash');
const mediaName = text('mm_extra_info');
const noMedia = text('mm_extra_info', nil);
const sessionName = text('session_id');

/** Most bytes of what is written beside blocks and texts, and of one block without media. */
const most = { event: 192, block: 64 } as const;

/**
 * Writes a message of the `kv-events` topic straight into bytes, the same as the general writer would from objects: it is
 * written for every step of an engine (spec kv-router 2).
 */
export function writeRouterEvents(events: readonly RouterEvent[]): Uint8Array {
  const writer = new EventWriter(roomFor(events));
  writer.array(events.length);
  for (const event of events) writer.event(event);
  return writer.bytes.subarray(0, writer.at);
}

function roomFor(events: readonly RouterEvent[]): number {
  let room = 8;
  for (const { change, sessionId } of events) {
    room += most.event + 4 * (sessionId?.length ?? 0);
    if (change.type === 'stored') for (const { media } of change.blocks) room += most.block + (media === undefined ? 0 : mediaBytes(media).length);
    else if (change.type === 'removed') room += 9 * change.hashes.length;
  }
  return room;
}

const mediaBytes = (media: readonly MediaObject[]): Uint8Array =>
  encodeMsgpack({ mm_objects: media.map(({ hash, offsets }) => ({ mm_hash: hash, offsets })) });

class EventWriter {
  readonly bytes: Buffer;
  readonly #view: DataView;
  at = 0;

  constructor(room: number) {
    this.bytes = Buffer.allocUnsafe(room);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, room);
  }

  event(event: RouterEvent): void {
    const { domain, sessionId } = event;
    this.#raw(eventHeads.get(3 + (domain === undefined ? 0 : 1) + (sessionId === undefined ? 0 : 1)) as Uint8Array);
    this.#long(event.workerId);
    this.#raw(tiers[event.tier]);
    if (domain !== undefined) this.#raw(domains[domain]);
    this.#raw(inner);
    this.#number(event.id);
    this.#raw(dataName);
    this.#change(event.change);
    this.#raw(rankName);
    this.#number(event.dpRank);
    if (sessionId === undefined) return;
    this.#raw(sessionName);
    this.#raw(encodeMsgpack(sessionId));
  }

  array(length: number): void {
    if (length < 16) this.bytes[this.at++] = 0x90 | length;
    else if (length < 0x1_0000) {
      this.bytes[this.at] = 0xdc;
      this.#view.setUint16(this.at + 1, length);
      this.at += 3;
    } else {
      this.bytes[this.at] = 0xdd;
      this.#view.setUint32(this.at + 1, length);
      this.at += 5;
    }
  }

  #change(change: KvChange): void {
    if (change.type === 'cleared') return this.#raw(cleared);
    if (change.type === 'removed') {
      this.#raw(removedHead);
      this.array(change.hashes.length);
      for (const hash of change.hashes) this.#long(hash);
      return;
    }
    this.#raw(storedHead);
    if (change.parent === undefined) this.bytes[this.at++] = nil;
    else this.#long(change.parent);
    this.#raw(startName);
    if (change.startPosition === undefined) this.bytes[this.at++] = nil;
    else this.#number(change.startPosition);
    this.#raw(blocksName);
    this.array(change.blocks.length);
    for (const block of change.blocks) this.#block(block);
  }

  #block({ blockHash, tokensHash, media }: StoredBlock): void {
    this.#raw(blockHead);
    this.#long(blockHash);
    this.#raw(tokensName);
    this.#long(tokensHash);
    if (media === undefined) return this.#raw(noMedia);
    this.#raw(mediaName);
    this.#raw(mediaBytes(media));
  }

  #raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  #long(value: bigint): void {
    if (value < 0x1_0000_0000n) return this.#number(Number(value));
    this.bytes[this.at] = 0xcf;
    this.#view.setBigUint64(this.at + 1, value);
    this.at += 9;
  }

  /** A count, in as few bytes as it needs. */
  #number(value: number): void {
    if (value < 0x80) this.bytes[this.at++] = value;
    else if (value < 0x100) {
      this.bytes[this.at] = 0xcc;
      this.bytes[this.at + 1] = value;
      this.at += 2;
    } else if (value < 0x1_0000) {
      this.bytes[this.at] = 0xcd;
      this.#view.setUint16(this.at + 1, value);
      this.at += 3;
    } else if (value < 0x1_0000_0000) {
      this.bytes[this.at] = 0xce;
      this.#view.setUint32(this.at + 1, value);
      this.at += 5;
    } else this.#long(BigInt(value));
  }
}
