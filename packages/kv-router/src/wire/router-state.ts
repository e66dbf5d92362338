import { crc32 } from 'node:zlib';
import { decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import { u32, u64, wrong } from './kv-event.ts';
import { object, type Wire } from './members.ts';

/** Version of this form: a router refuses every other one, and begins cold. Nothing of it is the real router's. */
const stateVersion = 1;

/** How one publisher was heard when the state was taken. */
export interface HeardSource {
  readonly publisher: bigint;
  readonly workerId: bigint;
  readonly dpRank: number;
  /** Number of the newest event that is in the state. */
  readonly cursor: number;
}

/** One rank's blocks behind each other. */
export interface RankChain {
  readonly workerId: bigint;
  readonly dpRank: number;
  /** 0 device, 1 host_pinned, 2 disk, 3 external. */
  readonly tier: number;
  readonly parent: bigint | undefined;
  readonly tokens: BigUint64Array;
  readonly blocks: BigUint64Array;
}

/** A decision that still counts as cached. */
export interface KeptDecision {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly leftMs: number;
  readonly local: BigUint64Array;
  readonly sequence: BigUint64Array;
}

/** A request that runs. */
export interface RunningRequest {
  readonly id: string;
  readonly workerId: bigint;
  readonly dpRank: number;
  /** Two words a block, the low one first. */
  readonly sequence: Uint32Array;
  /** What it still has to read. */
  readonly prefillTokens: number;
}

/** Which worker a session is bound to, in the version in which routers tell each other (spec kv-router 11). */
export interface SessionBinding {
  readonly sessionId: string;
  readonly workerId: bigint;
  readonly dpRank?: number;
  readonly sequence: bigint;
  readonly writerId: bigint;
}

/** A part of what a router knows, as it travels and as it lies in a file. */
export type StateFrame =
  | { readonly kind: 'head'; readonly blockSize: number; readonly index: string; readonly takenAt: number; readonly sources: readonly HeardSource[] }
  | { readonly kind: 'chains'; readonly chains: readonly RankChain[] }
  | { readonly kind: 'decisions'; readonly decisions: readonly KeptDecision[] }
  | { readonly kind: 'requests'; readonly requests: readonly RunningRequest[] }
  | { readonly kind: 'sessions'; readonly sessions: readonly SessionBinding[] }
  /** The last one: how many frames there are before it, and the CRC-32 of all their bytes. */
  | { readonly kind: 'end'; readonly frames: number; readonly crc: number };

/** Writes one frame by itself. */
export const encodeStateFrame = (frame: Exclude<StateFrame, { kind: 'end' }>): Uint8Array => encodeMsgpack(toWire(frame));

/** Reads one frame by itself, not the first. */
export const decodeStateFrame = (bytes: Uint8Array): StateFrame =>
  fromWire(object(decodeMsgpack(bytes)) ?? fail('a frame', 'a map', bytes), { first: false, whole: false });

/** Writes frames, and at the end the one that shows that none is missing. */
export class StateWriter {
  #frames = 0;
  #crc = 0;

  frame(frame: Exclude<StateFrame, { kind: 'end' }>): Uint8Array {
    const bytes = encodeStateFrame(frame);
    this.#frames++;
    this.#crc = crc32(bytes, this.#crc);
    return bytes;
  }

  end(): Uint8Array {
    return encodeMsgpack({ kind: 'end', frames: this.#frames, crc: this.#crc });
  }
}

/** Reads frames in order. */
export class StateReader {
  #frames = 0;
  #crc = 0;
  #whole = false;

  /** Whether the end has been read, and nothing was missing or changed before it. */
  get whole(): boolean {
    return this.#whole;
  }

  /**
   * Reads the next frame.
   *
   * @throws DynamoError `backend_protocol` for what is no frame, of another version, behind the end, or not what was written.
   */
  read(bytes: Uint8Array): StateFrame {
    const frame = fromWire(object(decodeMsgpack(bytes)) ?? fail('a frame', 'a map', bytes), { first: this.#frames === 0, whole: this.#whole });
    if (frame.kind !== 'end') {
      this.#frames++;
      this.#crc = crc32(bytes, this.#crc);
    } else if (frame.frames !== this.#frames || frame.crc !== this.#crc) throw wrong('the state', `${frame.frames} whole frames`, this.#frames);
    else this.#whole = true;
    return frame;
  }
}

function toWire(frame: Exclude<StateFrame, { kind: 'end' }>): Wire {
  switch (frame.kind) {
    case 'head':
      return {
        kind: 'head',
        version: stateVersion,
        block_size: frame.blockSize,
        index: frame.index,
        taken_at: frame.takenAt,
        sources: frame.sources.map(({ publisher, cursor, ...rank }) => ({ ...rankToWire(rank), publisher_id: publisher, cursor })),
      };
    case 'chains':
      return {
        kind: 'chains',
        chains: frame.chains.map(({ tier, parent, tokens, blocks, ...rank }) => ({
          ...rankToWire(rank),
          tier,
          parent: parent ?? null,
          tokens: bytesOf(tokens),
          blocks: bytesOf(blocks),
        })),
      };
    case 'decisions':
      return {
        kind: 'decisions',
        decisions: frame.decisions.map(({ leftMs, local, sequence, ...rank }) => ({
          ...rankToWire(rank),
          left_ms: Math.ceil(leftMs),
          local: bytesOf(local),
          sequence: bytesOf(sequence),
        })),
      };
    case 'requests':
      return {
        kind: 'requests',
        requests: frame.requests.map(({ id, sequence, prefillTokens, ...rank }) => ({
          ...rankToWire(rank),
          id,
          sequence: bytesOf(sequence),
          prefill_tokens: prefillTokens,
        })),
      };
    default:
      return {
        kind: 'sessions',
        sessions: frame.sessions.map(({ sessionId, workerId, dpRank, sequence, writerId }) => ({
          session_id: sessionId,
          worker_id: workerId,
          dp_rank: dpRank ?? null,
          sequence,
          writer_id: writerId,
        })),
      };
  }
}

function fromWire(frame: Wire, at: { first: boolean; whole: boolean }): StateFrame {
  const { kind } = frame;
  if (at.whole) throw wrong('a frame', 'nothing behind the end', kind);
  if (at.first !== (kind === 'head')) throw wrong('kind', at.first ? 'head' : 'no second head', kind);
  switch (kind) {
    case 'head':
      if (frame['version'] !== stateVersion) throw wrong('version', String(stateVersion), frame['version']);
      return {
        kind,
        blockSize: u32(frame['block_size'], 'block_size'),
        index: String(frame['index']),
        takenAt: Number(u64(frame['taken_at'], 'taken_at')),
        sources: list(frame, 'sources').map((source) => ({
          ...rankOf(source),
          publisher: u64(source['publisher_id'], 'publisher_id'),
          cursor: Number(u64(source['cursor'], 'cursor')),
        })),
      };
    case 'chains':
      return { kind, chains: list(frame, 'chains').map(chainOf) };
    case 'decisions':
      return {
        kind,
        decisions: list(frame, 'decisions').map((decision) => ({
          ...rankOf(decision),
          leftMs: Number(u64(decision['left_ms'], 'left_ms')),
          ...twoColumns(decision, 'local', 'sequence'),
        })),
      };
    case 'requests':
      return {
        kind,
        requests: list(frame, 'requests').map((request) => ({
          ...rankOf(request),
          id: String(request['id']),
          sequence: new Uint32Array(hashesOf(request, 'sequence').buffer),
          prefillTokens: Number(u64(request['prefill_tokens'], 'prefill_tokens')),
        })),
      };
    case 'sessions':
      return {
        kind,
        sessions: list(frame, 'sessions').map((session) => ({
          sessionId: String(session['session_id']),
          workerId: u64(session['worker_id'], 'worker_id'),
          ...(session['dp_rank'] == null ? {} : { dpRank: u32(session['dp_rank'], 'dp_rank') }),
          sequence: u64(session['sequence'], 'sequence'),
          writerId: u64(session['writer_id'], 'writer_id'),
        })),
      };
    case 'end':
      return { kind, frames: u32(frame['frames'], 'frames'), crc: u32(frame['crc'], 'crc') };
    default:
      throw wrong('kind', 'head, chains, decisions, requests, sessions or end', kind);
  }
}

function chainOf(chain: Wire): RankChain {
  const { tokens, blocks } = { tokens: hashesOf(chain, 'tokens'), blocks: hashesOf(chain, 'blocks') };
  if (tokens.length !== blocks.length) throw wrong('blocks', `${tokens.length} hashes`, blocks.length);
  const { parent } = chain;
  return { ...rankOf(chain), tier: u32(chain['tier'], 'tier') & 3, parent: parent === null ? undefined : u64(parent, 'parent'), tokens, blocks };
}

function twoColumns(of: Wire, local: string, sequence: string): { local: BigUint64Array; sequence: BigUint64Array } {
  const columns = { local: hashesOf(of, local), sequence: hashesOf(of, sequence) };
  if (columns.local.length !== columns.sequence.length) throw wrong(sequence, `${columns.local.length} hashes`, columns.sequence.length);
  return columns;
}

const rankToWire = ({ workerId, dpRank }: { workerId: bigint; dpRank: number }): Wire => ({ worker_id: workerId, dp_rank: dpRank });

const rankOf = (of: Wire): { workerId: bigint; dpRank: number } => ({
  workerId: u64(of['worker_id'], 'worker_id'),
  dpRank: u32(of['dp_rank'], 'dp_rank'),
});

/** Hashes travel as their bytes, little end first, as they lie in memory on every machine that runs this. */
const bytesOf = (hashes: BigUint64Array | Uint32Array): Uint8Array => new Uint8Array(hashes.buffer, hashes.byteOffset, hashes.byteLength);

function hashesOf(of: Wire, member: string): BigUint64Array<ArrayBuffer> {
  const bytes = of[member];
  if (!(bytes instanceof Uint8Array) || bytes.length % 8 !== 0) throw wrong(member, 'the bytes of 64-bit hashes', bytes);
  return new BigUint64Array(Uint8Array.from(bytes).buffer);
}

function list(of: Wire, member: string): Wire[] {
  const items = of[member];
  if (!Array.isArray(items)) throw wrong(member, 'an array', items);
  return items.map((item) => object(item) ?? fail(member, 'an array of maps', item));
}

const fail = (member: string, expected: string, got: unknown): never => {
  throw wrong(member, expected, got);
};
