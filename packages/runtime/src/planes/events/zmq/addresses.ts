import { setTimeout as sleep } from 'node:timers/promises';
import type { Subscriber } from 'zeromq';
import type { Logger } from '../../../log.ts';
import type { EventFeed } from '../feed.ts';

/**
 * How long after the handshake a publisher counts as heard, in milliseconds. Its socket takes our subscription in when it next
 * sends or within a millisecond of it, and nothing tells us; what it sends meanwhile is lost.
 */
const settleMs = 50;

/** How long a publisher that left discovery is still listened to when its connection does not end, in milliseconds. */
const leaveMs = 1_000;

/** One address that a subscription is connected to, and who is said to speak there. */
interface Place {
  readonly publishers: Set<bigint>;
  /** Whether the connection stood before: then it is back. */
  stood: boolean;
  connected: boolean;
  settling: NodeJS.Timeout | undefined;
  /** Resolved at the next break of the connection. */
  broken: PromiseWithResolvers<void>;
}

/** Which addresses one socket is connected to. An address that two records name, as after a crash, is connected to once. */
export class Addresses {
  readonly #socket: Subscriber;
  readonly #feed: EventFeed;
  readonly #log: Logger;
  readonly #places = new Map<string, Place>();
  readonly #addressOf = new Map<bigint, string>();
  readonly #closing = new AbortController();

  constructor(socket: Subscriber, feed: EventFeed, log: Logger) {
    this.#socket = socket;
    this.#feed = feed;
    this.#log = log;
  }

  /** A publisher is written down at an address, anew or for the first time. */
  add(publisher: bigint, address: string): void {
    const before = this.#addressOf.get(publisher);
    if (before === address) return;
    if (before !== undefined) this.#drop(publisher, before);
    const place = this.#places.get(address) ?? this.#connect(publisher, address);
    if (place === undefined) return;
    this.#addressOf.set(publisher, address);
    place.publishers.add(publisher);
    this.#feed.expect(publisher);
    if (place.connected && place.settling === undefined) this.#feed.reached(publisher);
  }

  /** A publisher has left discovery. */
  remove(publisher: bigint): void {
    const address = this.#addressOf.get(publisher);
    const place = address === undefined ? undefined : this.#places.get(address);
    if (address === undefined || place === undefined) return;
    this.#addressOf.delete(publisher);
    // It never rejects.
    void this.#leave(publisher, address, place);
  }

  stands(address: string): void {
    for (const place of this.#at(address)) {
      const again = place.stood;
      place.stood = true;
      place.connected = true;
      clearTimeout(place.settling);
      place.settling = setTimeout(() => {
        place.settling = undefined;
        for (const publisher of place.publishers) {
          if (again) this.#feed.joined(publisher);
          else this.#feed.reached(publisher);
        }
      }, settleMs);
    }
  }

  breaks(address: string): void {
    for (const place of this.#at(address)) {
      rest(place);
      place.broken.resolve();
      place.broken = Promise.withResolvers();
    }
  }

  close(): void {
    this.#closing.abort();
    for (const place of this.#places.values()) rest(place);
  }

  /** From its second attempt on the library names the address that a host's name led to, which only the port ties to the name. */
  #at(address: string): Place[] {
    const place = this.#places.get(address);
    if (place !== undefined) return [place];
    return [...this.#places].flatMap(([named, other]) => (portOf(named) === portOf(address) && !isIP(named) ? other : []));
  }

  #connect(publisher: bigint, address: string): Place | undefined {
    try {
      // With IPv6 on, an IPv4 address is named in another way.
      if (this.#socket.ipv6 !== address.includes('[')) this.#socket.ipv6 = address.includes('[');
      this.#socket.connect(address);
    } catch (error) {
      this.#log.warn({ publisher: publisher.toString(16), address, error: String(error) }, 'ignored an event publisher without a usable address');
      return undefined;
    }
    const place = { publishers: new Set<bigint>(), stood: false, connected: false, settling: undefined, broken: Promise.withResolvers<void>() };
    this.#places.set(address, place);
    return place;
  }

  /** Waits for the last messages: they may still be on their way, and dropping a connection drops them. */
  async #leave(publisher: bigint, address: string, place: Place): Promise<void> {
    if (place.connected) await Promise.race([place.broken.promise, this.#pause(leaveMs)]);
    for (let turn = 0; turn < 100 && !this.#socket.closed && this.#socket.readable; turn++) await this.#pause(10);
    const writtenAnew = this.#addressOf.get(publisher) === address;
    if (!writtenAnew) this.#drop(publisher, address);
  }

  #drop(publisher: bigint, address: string): void {
    if (!this.#addressOf.has(publisher) || this.#addressOf.get(publisher) === address) this.#feed.left(publisher);
    const place = this.#places.get(address);
    place?.publishers.delete(publisher);
    if (place === undefined || place.publishers.size > 0) return;
    rest(place);
    this.#places.delete(address);
    if (!this.#socket.closed) this.#socket.disconnect(address);
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {});
  }
}

/** Without a connection nobody is told as heard. */
function rest(place: Place): void {
  place.connected = false;
  clearTimeout(place.settling);
  place.settling = undefined;
}

const portOf = (address: string): string => address.slice(address.lastIndexOf(':'));

const isIP = (address: string): boolean => /^tcp:\/\/(\[|[\d.]+:)/.test(address);
