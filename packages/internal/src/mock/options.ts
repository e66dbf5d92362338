import { PolynomialTiming, type MockTiming } from './timing.ts';

/** How one rank of a mock engine runs; everything has the default of the real one (spec mocker 1). */
export interface MockEngineOptions {
  /** Whose scheduling rules apply. */
  backend?: 'vllm' | 'trtllm';
  /** Blocks of the KV cache. */
  blocks?: number;
  /** Tokens of a block; 64 for vllm, 32 for trtllm. */
  blockSize?: number;
  /** Longest sequence, prompt and output together. */
  maxModelLength?: number;
  /** Most requests that run at once; Infinity for no limit. */
  maxSequences?: number;
  /** Most tokens of one pass; Infinity for no limit. */
  maxBatchedTokens?: number;
  prefixCaching?: boolean;
  chunkedPrefill?: boolean;
  /** Divides all durations; 0 leaves them as they are. */
  speedup?: number;
  /** Divides those of decode steps once more. */
  decodeSpeedup?: number;
  role?: 'aggregated' | 'prefill' | 'decode';
  /** Which running request makes room: the newest (`lifo`) or the oldest (`fifo`). */
  preemption?: 'lifo' | 'fifo';
  timing?: MockTiming;
  /** Whether passes tell what the cache gained and lost. */
  kvEvents?: boolean;
  /** Whether passes tell what planners want to know of them. */
  forwardPasses?: boolean;
}

/** Options with every default in place. */
export type EngineSettings = Required<MockEngineOptions>;

/** Puts the defaults in place. */
export function engineSettings(options: MockEngineOptions = {}): EngineSettings {
  const backend = options.backend ?? 'vllm';
  const role = options.role ?? 'aggregated';
  const prefixCaching = options.prefixCaching ?? true;
  return {
    backend,
    blocks: options.blocks ?? 16_384,
    blockSize: options.blockSize ?? (backend === 'trtllm' ? 32 : 64),
    maxModelLength: options.maxModelLength ?? Infinity,
    maxSequences: options.maxSequences ?? 256,
    maxBatchedTokens: options.maxBatchedTokens ?? 8_192,
    prefixCaching,
    chunkedPrefill: options.chunkedPrefill ?? true,
    speedup: options.speedup ?? 1,
    decodeSpeedup: options.decodeSpeedup ?? 1,
    role,
    preemption: options.preemption ?? 'lifo',
    timing: options.timing ?? new PolynomialTiming(),
    forwardPasses: options.forwardPasses ?? false,
    // Decode workers and workers without a cache have nothing to tell (spec mocker 4).
    kvEvents: (options.kvEvents ?? false) && prefixCaching && role !== 'decode',
  };
}
