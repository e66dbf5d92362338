import type { KeyEntry } from './key-file.ts';
import { TokenBucket } from './token-bucket.ts';

/** Tokens that are reserved for an answer whose length the client does not limit. */
const unlimitedAnswer = 1_024;

/** What a key has left of one of its limits. */
export interface Allowance {
  readonly kind: 'requests' | 'tokens';
  readonly bucket: TokenBucket;
}

/** An allowance that does not cover a request. */
export interface Shortage extends Allowance {
  readonly asked: number;
}

/** Told what a key's holder has spent; a negative amount was given back. */
export type Spent = (kind: Allowance['kind'], amount: number) => void;

/** The holder of a key: what it may ask, and what it has left. */
export class Account {
  readonly entry: KeyEntry;
  readonly allowances: readonly Allowance[];
  readonly #requests: TokenBucket | undefined;
  readonly #tokens: TokenBucket | undefined;
  readonly #models: ReadonlySet<string> | undefined;
  readonly #expires: number;
  readonly #spent: Spent | undefined;

  /** `before` is the holder under the file's previous text: limits that stay keep what is left of them. */
  constructor(entry: KeyEntry, now: () => number, more: { readonly before?: Account | undefined; readonly spent?: Spent | undefined } = {}) {
    const { before } = more;
    this.entry = entry;
    this.#spent = more.spent;
    this.#requests = bucketOf(entry.requestsPerMinute, now, before === undefined ? undefined : before.#requests);
    this.#tokens = bucketOf(entry.tokensPerMinute, now, before === undefined ? undefined : before.#tokens);
    this.#models = entry.models === undefined ? undefined : new Set(entry.models);
    this.#expires = entry.expires === undefined ? Infinity : Date.parse(entry.expires);
    this.allowances = [
      ...(this.#requests === undefined ? [] : [{ kind: 'requests' as const, bucket: this.#requests }]),
      ...(this.#tokens === undefined ? [] : [{ kind: 'tokens' as const, bucket: this.#tokens }]),
    ];
  }

  mayAsk(model: string): boolean {
    return this.#models?.has(model) ?? true;
  }

  /** Whether the key has expired, at a time of the wall clock. */
  expired(time: number): boolean {
    return time >= this.#expires;
  }

  /** Counts a request; gives back what is short, where something is. */
  takeRequest(): Shortage | undefined {
    const bucket = this.#requests;
    if (bucket === undefined) return undefined;
    if (!bucket.take(1)) return { kind: 'requests', bucket, asked: 1 };
    this.#spent?.('requests', 1);
    return undefined;
  }

  /** Opens the books of one request's tokens. */
  openBooks(): TokenBooks {
    return new TokenBooks(this.#tokens, this.#spent);
  }
}

/** The tokens of one request: reserved before its stream, settled after it. */
export class TokenBooks {
  readonly #bucket: TokenBucket | undefined;
  readonly #spent: Spent | undefined;
  #reserved = 0;
  #input = 0;
  #output = 0;

  constructor(bucket: TokenBucket | undefined, spent: Spent | undefined) {
    this.#bucket = bucket;
    this.#spent = spent;
  }

  /** Reserves a prompt and the longest answer that was asked for; gives back what is short, where something is. */
  reserve(input: number, answer: number | undefined): Shortage | undefined {
    this.#input += input;
    const bucket = this.#bucket;
    if (bucket === undefined) return undefined;
    const asked = answer === undefined ? Math.max(input, Math.min(input + unlimitedAnswer, bucket.perMinute)) : input + answer;
    if (!bucket.take(asked)) return { kind: 'tokens', bucket, asked };
    this.#reserved += asked;
    this.#spent?.('tokens', asked);
    return undefined;
  }

  spend(output: number): void {
    this.#output += output;
  }

  /** Gives back what was not spent, all of it where the request failed without a token; takes what was spent beyond the reservation. */
  settle(failed: boolean): void {
    if (this.#reserved === 0) return;
    const spent = failed && this.#output === 0 ? 0 : this.#input + this.#output;
    this.#bucket?.give(this.#reserved - spent);
    this.#spent?.('tokens', spent - this.#reserved);
    this.#reserved = 0;
  }
}

function bucketOf(perMinute: number | undefined, now: () => number, before: TokenBucket | undefined): TokenBucket | undefined {
  if (perMinute === undefined) return undefined;
  return before?.perMinute === perMinute ? before : new TokenBucket(perMinute, now);
}
