import type { EventChannel } from '../../wire/event-record.ts';
import type { EventScope } from './event-plane.ts';

/** What the directory tells of one topic's publishers: those that are there first, then each change. */
export type ChannelChange = { readonly type: 'put'; readonly channel: EventChannel } | { readonly type: 'delete'; readonly publisher: bigint };

/** Where publishers are written down and found: as much of discovery as an event plane needs. The runtime composes it. */
export interface EventDirectory {
  /** Writes a channel's record down; disposing withdraws it. */
  announce(channel: EventChannel): Promise<AsyncDisposable>;
  /** Follows the publishers of one topic until the signal aborts. */
  watch(scope: EventScope, topic: string, options: { signal: AbortSignal }): AsyncIterable<ChannelChange>;
  /** What is written down in a scope and below it. */
  list(scope: EventScope): Promise<readonly EventChannel[]>;
}
