/** One request as an engine takes it. */
export interface MockRequest {
  readonly id: string;
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Sequence hashes of the prompt's complete blocks, one a block: what prefixes are matched by. */
  readonly sequence: BigUint64Array;
  /** Hashes of the blocks' own tokens: only needed where KV events are told. */
  readonly local?: BigUint64Array;
  readonly maxOutputTokens: number;
}

/** Where a request stands. */
export type SequenceState = 'waiting' | 'running' | 'completed' | 'rejected' | 'cancelled';

/** A request inside the scheduler, with its blocks. */
export class MockSequence {
  readonly request: MockRequest;
  readonly id: string;
  /** Unique within the engine; makes names for the blocks that it generates. */
  readonly serial: number;
  readonly promptTokens: number;
  maxOutputTokens: number;
  state: SequenceState = 'waiting';
  generated = 0;
  /** Tokens whose keys and values are in the cache. */
  computed = 0;
  /** Slots of its blocks. */
  readonly blocks: number[] = [];
  /** How many of its leading blocks are findable. */
  published = 0;
  /** Names of its complete blocks, low and high half each, as far as they are known. */
  names: Uint32Array<ArrayBuffer>;
  /** Hashes of the tokens of its complete blocks, in the same form. */
  locals: Uint32Array<ArrayBuffer>;
  /** How many names are known. */
  named: number;
  preemptions = 0;
  /** Prompt tokens that the last admission found in the cache. */
  cachedTokens = 0;
  // What it did in the present pass.
  pass = -1;
  passTokens = 0;
  passPromptTokens = 0;
  passPrefix = 0;
  /** For whoever drives the engine. */
  data: unknown = undefined;

  constructor(request: MockRequest, serial: number) {
    const { sequence } = request;
    this.request = request;
    this.id = request.id;
    this.serial = serial;
    this.promptTokens = request.promptTokens;
    this.maxOutputTokens = request.maxOutputTokens;
    this.names = halves(sequence);
    this.locals = request.local === undefined ? noWords : halves(request.local);
    this.named = sequence.length;
  }

  /** Prompt and what has been generated. */
  get length(): number {
    return this.promptTokens + this.generated;
  }

  /** Writes the name of the next complete block, which has generated tokens in it, and the hash of its own tokens. */
  nameNext(low: number, high: number, localLow: number, localHigh: number): void {
    const at = this.named * 2;
    // The prompt's own hashes are shared with whoever made them: the first write is to a copy.
    if (at + 2 > this.names.length) this.names = grown(this.names, at);
    if (at + 2 > this.locals.length) this.locals = grown(this.locals, at);
    this.names[at] = low;
    this.names[at + 1] = high;
    this.locals[at] = localLow;
    this.locals[at + 1] = localHigh;
    this.named++;
  }
}

function grown(words: Uint32Array<ArrayBuffer>, used: number): Uint32Array<ArrayBuffer> {
  const next = new Uint32Array(Math.max(8, used + (used >> 1) + 8) & ~1);
  next.set(words.subarray(0, used));
  return next;
}

const halves = (hashes: BigUint64Array): Uint32Array<ArrayBuffer> =>
  new Uint32Array(hashes.buffer as ArrayBuffer, hashes.byteOffset, hashes.length * 2);

const noWords = new Uint32Array(0);
