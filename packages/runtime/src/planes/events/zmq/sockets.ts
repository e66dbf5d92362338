import type { Subscriber } from 'zeromq';
import { decodeEventFrames, namedPublisher } from '../../../wire/event-frames.ts';
import type { EventFeed } from '../feed.ts';

/** The library, loaded when a plane is first opened. */
export type Zmq = typeof import('zeromq');

/** How many messages a socket keeps for a peer that is slow, on either side (spec runtime-wire 13.2). Past it they are dropped. */
export const highWaterMark = 100_000;

/** How long a closed socket goes on sending what was queued, in milliseconds. */
export const lingerMs = 1_000;

/** A broken connection is tried again after 100 ms, then less and less often up to this, in milliseconds. */
export const maxReconnectMs = 2_000;

/** Hands over every message until the socket is closed. The library reads up to 512 of them within one turn of the event loop. */
export async function receiveAll(socket: Subscriber, take: (frames: Buffer[]) => void): Promise<void> {
  while (!socket.closed) {
    try {
      take(await socket.receive());
    } catch (error) {
      // Closing ends a receive that waits.
      if (!socket.closed) throw error;
    }
  }
}

/** Tells when the connection to an address stands and when it breaks, until the socket is closed. */
export async function observeAll(socket: Subscriber, told: { stands: (address: string) => void; breaks: (address: string) => void }): Promise<void> {
  for await (const event of socket.events) {
    if (event.type === 'handshake') told.stands(event.address);
    else if (event.type === 'disconnect') told.breaks(event.address);
  }
}

/** Reads one message; a subscription is a prefix, so that messages of longer topics come too. */
export function takeFrames(feed: EventFeed, frames: Buffer[], routing: Buffer): void {
  if (frames[0]?.equals(routing) !== true) return;
  try {
    feed.message(decodeEventFrames(frames));
  } catch (error) {
    feed.malformed(namedPublisher(frames), error);
  }
}
