import type { Socket } from 'node:net';
import { DynamoError } from '@dynamo/runtime';
import type { Expectations } from '../expectations.ts';
import type { Regions } from '../regions.ts';
import { encodeFrame, type FrameHeader } from './frame.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';

/** What a connection serves from. */
export interface Shared {
  readonly regions: Regions;
  readonly expectations: Expectations;
  /** Whether a peer's token is this agent's. */
  readonly admits: (token: string) => boolean;
  readonly idleMs: number;
}

/** The passive end of a connection: one movement after the other. */
export class ServedConnection implements FrameSink {
  readonly #socket: Socket;
  readonly #shared: Shared;
  readonly #reader = new FrameReader(this);
  /** Key of the movement under way, and where its bytes go. */
  #key: string | undefined;
  #into: readonly Uint8Array[] = [];

  constructor(socket: Socket, shared: Shared) {
    this.#socket = socket;
    this.#shared = shared;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk));
    // The close that follows an error tells everything there is to do.
    socket.on('error', () => {});
    socket.on('close', () => this.#cut(new DynamoError('disconnected', 'the peer went away in the middle of a transfer')));
    socket.on('timeout', () => this.#silent());
  }

  header(header: FrameHeader): readonly Uint8Array[] {
    if (header.op === 'read' || header.op === 'write') {
      if (this.#key !== undefined) throw strange(header.op);
      this.#begin(header);
      return [];
    }
    if (this.#key === undefined) throw strange(header.op);
    if (header.op === 'data' && this.#into.length > 0) return this.#into;
    if (header.op === 'done' && this.#into.length === 0) return (this.#finish(), []);
    throw strange(header.op);
  }

  filled(): void {
    this.#finish();
    this.#socket.write(encodeFrame({ op: 'done' }));
  }

  #begin(asked: FrameHeader & { op: 'read' | 'write' }): void {
    if (!this.#shared.admits(asked.token)) throw new DynamoError('unauthenticated', 'the token of the transfer is wrong');
    const pieces = asked.regions.map((region) => this.#shared.regions.reach(region, asked.op));
    if (pieces.length === 0) throw new DynamoError('invalid_argument', 'a transfer names no region', { data: { field: 'regions' } });
    this.#key = asked.notif;
    this.#socket.setTimeout(this.#shared.idleMs);
    if (asked.op === 'write') {
      this.#into = pieces;
      this.#socket.write(encodeFrame({ op: 'go' }));
      return;
    }
    this.#socket.cork();
    this.#socket.write(encodeFrame({ op: 'data' }));
    for (const piece of pieces) if (piece.byteLength > 0) this.#socket.write(piece);
    this.#socket.uncork();
  }

  #finish(): void {
    const key = this.#key as string;
    this.#key = undefined;
    this.#into = [];
    this.#socket.setTimeout(0);
    this.#shared.expectations.finish(key);
  }

  #read(chunk: Uint8Array): void {
    try {
      this.#reader.feed(chunk);
    } catch (error) {
      this.#refuse(DynamoError.from(error));
    }
  }

  #silent(): void {
    this.#refuse(new DynamoError('response_timeout', `the peer was silent for ${this.#shared.idleMs} ms in the middle of a transfer`));
  }

  /** What the peer sends after a refused request can't be told apart from bytes: the connection ends with it. */
  #refuse(error: DynamoError): void {
    this.#cut(error);
    this.#socket.end(encodeFrame({ op: 'err', code: error.code, message: error.message }));
    this.#socket.removeAllListeners('data');
    this.#socket.resume();
    this.#socket.setTimeout(this.#shared.idleMs, () => this.#socket.destroy());
  }

  #cut(error: DynamoError): void {
    if (this.#key === undefined) return;
    this.#shared.expectations.fail(this.#key, error);
    this.#key = undefined;
    this.#into = [];
  }
}

const strange = (op: string): DynamoError => new DynamoError('backend_protocol', `${op} was not expected here`);
