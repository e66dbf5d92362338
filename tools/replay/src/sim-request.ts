import type { PromptHashes } from '@dynamo/kv-router/internal';
import type { Turn } from './trace/turn.ts';

/** How a simulated request ended, or that it has not. */
export type Outcome = 'open' | 'completed' | 'rejected' | 'failed';

/** One admission of a request. */
export interface AdmissionNote {
  readonly atMs: number;
  readonly cachedTokens: number;
  readonly pool: 'agg' | 'prefill' | 'decode';
}

/** What a replay notes of one request. Times are NaN until they are known. */
export class SimRequest {
  readonly id: number;
  readonly turn: Turn;
  readonly prompt: PromptHashes;
  readonly arrivalMs: number;
  outcome: Outcome = 'open';
  firstAdmitMs = NaN;
  firstTokenMs = NaN;
  secondTokenMs = NaN;
  lastTokenMs = NaN;
  endMs = NaN;
  tokens = 0;
  /** Tokens found in the cache at the last admission, and at the first. */
  cachedTokens = 0;
  firstCachedTokens = 0;
  admissions = 0;
  /** Kept only where single requests are reported. */
  notes: AdmissionNote[] | undefined;
  /** The rank that reads its prompt, where that is another one, and the rank that generates. */
  prefillRank = -1;
  rank = -1;
  // Disaggregated serving.
  prefillAdmitMs = NaN;
  heldMs = NaN;
  reservedMs = NaN;
  activatedMs = NaN;
  decodeAdmitMs = NaN;
  releasedMs = NaN;
  decodeCachedTokens = 0;

  constructor(id: number, parts: { readonly turn: Turn; readonly prompt: PromptHashes; readonly arrivalMs: number }) {
    this.id = id;
    this.turn = parts.turn;
    this.prompt = parts.prompt;
    this.arrivalMs = parts.arrivalMs;
  }
}
