import type { MockSequence } from '@dynamo/internal';
import type { SimRank } from './sim-rank.ts';
import type { SimRequest } from './sim-request.ts';
import type { SimWorker } from './sim-worker.ts';

/** A prompt that has been read on one worker and is to be fetched by another. */
export interface HandOff {
  readonly request: SimRequest;
  /** Where it is held, and as what. */
  readonly from: SimWorker;
  readonly fromRank: SimRank;
  readonly held: MockSequence;
  to: SimWorker | undefined;
  toRank: SimRank | undefined;
  reserved: MockSequence | undefined;
  /** Its place among all that had room made for them. */
  order: number;
}

/** How long a prompt travels. */
export interface Transfer {
  readonly msPerToken: number | undefined;
  /** Whether only what the decode worker does not have travels. */
  readonly missingOnly: boolean;
}

/** The time that a prompt needs to its decode worker. What is missing there is counted in whole blocks. */
export function transferMs({ msPerToken, missingOnly }: Transfer, { request, reserved }: HandOff, blockSize: number): number {
  if (msPerToken === undefined) return 0;
  const { input } = request.turn;
  const tokens = missingOnly ? Math.ceil(input / blockSize) * blockSize - (reserved?.cachedTokens ?? 0) : input;
  return tokens * msPerToken;
}
