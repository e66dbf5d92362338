import { DynamoError } from '@dynamo/runtime';
import type { RecordedDecision, RecordedEntry, RecordedRouter } from '../wire/recording.ts';
import { readRecording } from './recorder.ts';

/** One recorded request: when it was placed, and how long its two parts took. */
export interface RecordedRequest {
  readonly at: number;
  readonly decision: RecordedDecision;
  /** When the prompt had been read; absent for one that never answered. */
  readAt?: number;
  freedAt?: number;
  cachedTokens?: number | undefined;
}

/** A change of the workers. */
export type WorkerChange = { readonly at: number; readonly entry: Extract<RecordedEntry, { kind: 'worker' | 'gone' | 'available' }> };

/** What happened, without what the router made of it. */
export interface Traffic {
  readonly router: RecordedRouter;
  readonly requests: readonly RecordedRequest[];
  readonly workers: readonly WorkerChange[];
  readonly lostLines: number;
}

/**
 * Reads a recording's traffic.
 *
 * @throws DynamoError `backend_protocol` for what is no recording of a router, or holds no request.
 */
export async function readTraffic(path: string): Promise<Traffic> {
  let router: RecordedRouter | undefined;
  const requests: RecordedRequest[] = [];
  const open = new Map<string, RecordedRequest>();
  const workers: WorkerChange[] = [];
  let lostLines = 0;
  for await (const { timestamp: at, entry } of readRecording(path)) {
    if (entry.kind === 'router') router ??= entry.router;
    else if (entry.kind === 'worker' || entry.kind === 'gone' || entry.kind === 'available') workers.push({ at, entry });
    else if (entry.kind === 'lost') lostLines += entry.lines;
    else if (entry.kind === 'decision') {
      const request: RecordedRequest = { at, decision: entry.decision };
      requests.push(request);
      open.set(entry.decision.id, request);
    } else if (entry.kind === 'read') Object.assign(open.get(entry.id) ?? {}, { readAt: at });
    else if (entry.kind === 'freed') {
      Object.assign(open.get(entry.id) ?? {}, { freedAt: at, cachedTokens: entry.cachedTokens });
      open.delete(entry.id);
    }
  }
  if (router === undefined || requests.length === 0)
    throw new DynamoError('backend_protocol', `${path} is no recording of a router, or holds no request`);
  return { router, requests, workers, lostLines };
}

/** Milliseconds that a token of a prompt took to be read: of the quicker quarter of requests, which waited least. */
export function msPerToken(requests: readonly RecordedRequest[]): number {
  const rates = requests
    .flatMap(({ at, readAt, cachedTokens, decision }) => {
      const tokens = decision.isl - (cachedTokens ?? Math.min(decision.cachedTokens, decision.isl));
      return readAt === undefined || tokens <= 0 ? [] : [(readAt - at) / tokens];
    })
    .toSorted((a, b) => a - b);
  return rates[Math.floor(rates.length / 4)] ?? 0;
}
