import { checkAddress } from '../publish/zmq-address.ts';
import type { EngineSource } from '../publish/engine-socket.ts';
import type { WorkerFacts, WorkerRecord } from '../wire/selection-bodies.ts';

/** Where the events of each rank come from. */
export type RankSources = ReadonlyMap<number, EngineSource>;

/** What is still missing before a worker can be chosen, in the words of 1.6.1; empty when nothing is. */
export function missingOf(record: WorkerRecord): string[] {
  const { dataParallelSize: size = 1 } = record;
  const missing: string[] = [];
  if (record.endpoint === undefined || record.endpoint === '') missing.push('endpoint is required');
  if ((record.blockSize ?? 0) === 0) missing.push('block_size must be greater than 0');
  if (size === 0) return [...missing, 'data_parallel_size must be greater than 0'];
  for (const rank of ranksOf(record)) if (addressOf(record, rank) === undefined) missing.push(`kv_events endpoint is required for dp_rank ${rank}`);
  if (record.replayEndpoint !== undefined && size > 1) missing.push('replay_endpoint is supported only for data_parallel_size 1');
  return missing;
}

/**
 * The sockets of a worker's ranks.
 *
 * @throws DynamoError `invalid_argument` for one that is no address.
 */
export function sourcesOf(record: WorkerRecord): RankSources {
  const sources = new Map<number, EngineSource>();
  for (const rank of ranksOf(record)) {
    const zmq = addressOf(record, rank) ?? '';
    checkAddress(zmq);
    sources.set(rank, { zmq, ...(record.replayEndpoint === undefined ? {} : { replay: { zmq: record.replayEndpoint } }) });
  }
  return sources;
}

const ranksOf = ({ dataParallelStartRank: start = 0, dataParallelSize: size = 1 }: WorkerRecord): number[] =>
  Array.from({ length: size }, (_, at) => start + at);

/** One endpoint alone speaks for a worker of one rank. */
const addressOf = ({ kvEventsEndpoint: one, kvEventsEndpoints: each, dataParallelSize: size = 1 }: WorkerRecord, rank: number): string | undefined =>
  each?.get(String(rank)) ?? (size === 1 ? one : undefined);

/** A record with what a patch says; what it leaves out, or says is null, stays. */
export function patched(record: WorkerRecord, patch: WorkerFacts): WorkerRecord {
  const said = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
  return { ...record, ...said };
}
