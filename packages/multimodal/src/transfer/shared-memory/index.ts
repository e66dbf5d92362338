import { randomUUID } from 'node:crypto';
import { BroadcastChannel } from 'node:worker_threads';
import { DynamoError } from '@dynamo/runtime';
import { Expectations } from '../expectations.ts';
import { Regions } from '../regions.ts';
import type { Expected, Movement, Region, Transfer, TransferOptions } from '../transfer.ts';
import { channelOf, type Message } from './message.ts';
import { Served } from './served.ts';

/** A move between agents of one process, whichever threads they live in: one copy, none where both ends share memory. */
export class SharedMemoryTransfer implements Transfer {
  readonly scheme = 'shared-memory';
  readonly #agent: string = randomUUID();
  readonly #name: string;
  readonly #idleMs: number;
  readonly #regions = new Regions();
  readonly #expectations = new Expectations();
  readonly #served: Served = new Served(this.#regions, this.#expectations);
  readonly #asked = new Map<string, PromiseWithResolvers<Message>>();
  #channel: BroadcastChannel | undefined;
  #closed = false;

  constructor(options: TransferOptions) {
    this.#name = options.name;
    this.#idleMs = options.idleMs ?? 30_000;
  }

  async metadata(): Promise<Uint8Array> {
    this.#listen();
    return Buffer.from(JSON.stringify({ v: 1, name: this.#name, pid: process.pid, agent: this.#agent }));
  }

  register(bytes: Uint8Array, access: 'read' | 'write'): Region {
    return this.#regions.add(bytes, access);
  }

  expect(notificationKey: string): Expected {
    return this.#expectations.expect(notificationKey);
  }

  async move(movement: Movement, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#listen();
    const id = randomUUID();
    using peer = new Speaker(agentOf(movement.peer));
    try {
      const given = await this.#ask(
        peer,
        { op: movement.kind, id, from: this.#agent, notif: movement.notificationKey, regions: movement.remote },
        signal,
      );
      if (given.op !== 'given' || given.pieces.length !== movement.local.length)
        throw new DynamoError('backend_protocol', 'a transfer was answered by something else');
      movement.local.forEach((own, at) => copy(movement.kind, own, given.pieces[at] as Uint8Array));
      await this.#ask(peer, { op: 'done', id }, signal);
    } catch (error) {
      peer.say({ op: 'left', id });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#channel?.close();
    const error = new DynamoError('cancelled', 'the transfer was closed');
    this.#expectations.failAll(error);
    for (const asked of this.#asked.values()) asked.reject(error);
  }

  async #ask(peer: Speaker, message: Message, signal: AbortSignal): Promise<Message> {
    const asked = Promise.withResolvers<Message>();
    const leave = (): void => asked.reject(DynamoError.from(signal.reason));
    const silence = setTimeout(
      () => asked.reject(new DynamoError('response_timeout', `the other end of a transfer was silent for ${this.#idleMs} ms`)),
      this.#idleMs,
    );
    signal.addEventListener('abort', leave, { once: true });
    this.#asked.set(message.id, asked);
    try {
      peer.say(message);
      const answer = await asked.promise;
      if (answer.op === 'err') throw new DynamoError(answer.code, `the transfer was refused: ${answer.message}`, { origin: 'backend' });
      return answer;
    } finally {
      clearTimeout(silence);
      signal.removeEventListener('abort', leave);
      this.#asked.delete(message.id);
    }
  }

  #listen(): void {
    if (this.#closed) throw new DynamoError('cancelled', 'the transfer was closed');
    if (this.#channel !== undefined) return;
    this.#channel = new BroadcastChannel(channelOf(this.#agent));
    this.#channel.onmessage = (event): void => this.#hear((event as { data: Message }).data);
    this.#channel.unref();
  }

  #hear(message: Message): void {
    switch (message.op) {
      case 'read':
      case 'write':
        say(message.from, this.#served.begin(message));
        return;
      case 'done':
        this.#finish(message.id);
        return;
      case 'left':
        this.#served.left(message.id);
        return;
      default:
        this.#asked.get(message.id)?.resolve(message);
    }
  }

  #finish(id: string): void {
    const asker = this.#served.done(id);
    if (asker !== undefined) say(asker, { op: 'ended', id });
  }
}

function say(agent: string, message: Message): void {
  using peer = new Speaker(agent);
  peer.say(message);
}

/** A channel that is only spoken into. */
class Speaker implements Disposable {
  readonly #channel: BroadcastChannel;

  constructor(agent: string) {
    this.#channel = new BroadcastChannel(channelOf(agent));
    this.#channel.unref();
  }

  say(message: Message): void {
    this.#channel.postMessage(message);
  }

  [Symbol.dispose](): void {
    this.#channel.close();
  }
}

function copy(kind: 'read' | 'write', own: Uint8Array, lent: Uint8Array): void {
  if (kind === 'read') own.set(lent);
  else lent.set(own);
}

function agentOf(metadata: Uint8Array): string {
  let agent: unknown;
  let pid: unknown;
  try {
    ({ agent, pid } = JSON.parse(Buffer.from(metadata).toString()) as Record<string, unknown>);
  } catch (cause) {
    throw new DynamoError('invalid_argument', 'nixl_metadata is not JSON of a shared-memory agent', { cause, data: { field: 'nixl_metadata' } });
  }
  if (typeof agent !== 'string')
    throw new DynamoError('invalid_argument', 'nixl_metadata names no shared-memory agent', { data: { field: 'nixl_metadata' } });
  if (pid !== process.pid) throw new DynamoError('cannot_connect', 'shared memory reaches only agents of the same process', { data: { pid } });
  return agent;
}
