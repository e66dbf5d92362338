import { DynamoError, type Logger } from '@dynamo/runtime';
import { decodeJson } from '@dynamo/runtime/internal';
import { eventFromWire, type RouterEvent } from '../wire/kv-event.ts';
import { object } from '../wire/members.ts';

/** How long a peer may take to tell what it knows. */
const peerMs = 10_000;

/** Who takes a group's events; made where it is not there yet. */
export type GroupOf = (model: string, group: string, blockSize: number) => { apply(event: RouterEvent): void };

/** Takes over what a peer's `/dump` tells; who can't be reached is told to the log, and the next one asked. */
export async function takeOverDump(peers: readonly string[], options: { readonly groupOf: GroupOf; readonly log: Logger }): Promise<void> {
  const { log, groupOf } = options;
  for (const peer of peers) {
    try {
      const response = await fetch(`${peer.replace(/\/$/, '')}/dump`, { signal: AbortSignal.timeout(peerMs) });
      if (!response.ok) throw new DynamoError('unavailable', `status ${response.status}`);
      let events = 0;
      for (const [name, dump] of Object.entries(object(decodeJson(await response.text())) ?? {})) events += restore(groupOf, name, dump);
      return log.info({ peer, events }, 'took over what a peer knows');
    } catch (error) {
      log.warn({ peer, error: String(error) }, 'a peer did not tell what it knows');
    }
  }
}

function restore(groupOf: GroupOf, name: string, dump: unknown): number {
  const { block_size: blockSize, events } = object(dump) ?? {};
  const colon = name.lastIndexOf(':');
  if (typeof blockSize !== 'number' || blockSize === 0 || !Array.isArray(events) || colon < 1) return 0;
  const group = groupOf(name.slice(0, colon), name.slice(colon + 1), blockSize);
  for (const wire of events) {
    const event = eventFromWire(wire);
    if (event !== undefined) group.apply(event);
  }
  return events.length;
}
