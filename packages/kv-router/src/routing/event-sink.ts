import type { KvSink } from '../sources/kv-sources.ts';
import type { Desk } from './desk.ts';

/** Applies what the workers' events say to the index, and writes it down where that is asked for. */
export function eventSink({ parts: { index, ranks }, recorder, watch }: Desk): KvSink {
  return {
    decode: (payload) => {
      const batch = index.decode(payload, 'msgpack');
      return recorder?.batch(batch, payload) ?? batch;
    },
    apply: (event) => {
      recorder?.record({ kind: 'event', event });
      index.apply(event);
    },
    reset: (workerId, dpRank) => {
      recorder?.record({ kind: 'reset', workerId, dpRank });
      const rank = ranks.find(workerId, dpRank);
      if (rank !== undefined) index.clear(rank);
    },
    hasRank: (workerId, dpRank) => watch().hasRank(workerId, dpRank),
  };
}
