import type { Discovery } from './discovery/discovery.ts';
import type { EventDirectory } from './planes/events/directory.ts';
import { decodeEventChannel, encodeEventChannel, publisherOfKey, scopePath, topicPath } from './wire/event-record.ts';

const bucket = 'v1/event_channels';

/** The event channels of discovery, as the event planes see them. Records that can't be read are as if they were not there. */
export function eventDirectory(discovery: Discovery): EventDirectory {
  return {
    announce: (channel) => discovery.put(encodeEventChannel(channel)),
    async list(scope) {
      const records = await discovery.list({ bucket, prefix: scopePath(scope) });
      return records.flatMap((record) => decodeEventChannel(record) ?? []);
    },
    async *watch(scope, topic, options) {
      for await (const change of discovery.watch({ bucket, prefix: topicPath(scope, topic) }, options)) {
        if (change.type === 'delete') {
          const publisher = publisherOfKey(change.key);
          if (publisher !== undefined) yield { type: 'delete', publisher };
          continue;
        }
        for (const record of change.type === 'snapshot' ? change.records : [change.record]) {
          const channel = decodeEventChannel(record);
          if (channel !== undefined) yield { type: 'put', channel };
        }
      }
    },
  };
}
