import { DynamoError } from '@dynamo/runtime';
import type { Expectations } from '../expectations.ts';
import type { Regions } from '../regions.ts';
import type { Message } from './message.ts';

/** A movement that a peer has begun: what it was given, and what must be copied home when it has written. */
interface Begun {
  readonly notif: string;
  /** The agent that asked. */
  readonly from: string;
  readonly home: readonly { readonly own: Uint8Array; readonly lent: Uint8Array }[];
}

/** Most movements that peers may have begun and not ended. */
const maxBegun = 1024;

/** The passive side: lends memory to peers of this process, through shared memory where its own is not shared. */
export class Served {
  readonly #regions: Regions;
  readonly #expectations: Expectations;
  readonly #begun = new Map<string, Begun>();

  constructor(regions: Regions, expectations: Expectations) {
    this.#regions = regions;
    this.#expectations = expectations;
  }

  /** What to answer. */
  begin(asked: Message & { op: 'read' | 'write' }): Message {
    try {
      if (this.#begun.size >= maxBegun) throw new DynamoError('resource_exhausted', `${maxBegun} transfers are under way at this agent`);
      const pairs = asked.regions.map((region) => {
        const own = this.#regions.reach(region, asked.op);
        return { own, lent: lend(own, asked.op) };
      });
      const home = asked.op === 'write' ? pairs.filter(({ own, lent }) => own !== lent) : [];
      this.#begun.set(asked.id, { notif: asked.notif, from: asked.from, home });
      return { op: 'given', id: asked.id, pieces: pairs.map(({ lent }) => lent) };
    } catch (error) {
      const { code, message } = DynamoError.from(error);
      return { op: 'err', id: asked.id, code, message };
    }
  }

  /** The agent that asked, where the movement is known: bytes are home and the owner is told when this returns. */
  done(id: string): string | undefined {
    const begun = this.#take(id);
    if (begun === undefined) return undefined;
    for (const { own, lent } of begun.home) own.set(lent);
    this.#expectations.finish(begun.notif);
    return begun.from;
  }

  left(id: string): void {
    const begun = this.#take(id);
    if (begun !== undefined) this.#expectations.fail(begun.notif, new DynamoError('disconnected', 'the peer went away in the middle of a transfer'));
  }

  #take(id: string): Begun | undefined {
    const begun = this.#begun.get(id);
    this.#begun.delete(id);
    return begun;
  }
}

/** Shared memory is lent as it is; other memory by way of a shared copy, which is filled for a reader. */
function lend(own: Uint8Array, access: 'read' | 'write'): Uint8Array {
  if (own.buffer instanceof SharedArrayBuffer) return own;
  const lent = new Uint8Array(new SharedArrayBuffer(own.byteLength));
  if (access === 'read') lent.set(own);
  return lent;
}
