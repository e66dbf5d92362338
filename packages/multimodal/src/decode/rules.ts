/** How large a decoded image may be: each limit has its own default. */
export interface DecodeOptions {
  /** Widest image, in pixels. Default: any width. */
  maxWidth?: number | null;
  /** Highest image, in pixels. Default: any height. */
  maxHeight?: number | null;
  /** Most pixels. Default 134,217,728. */
  maxPixels?: number;
  /** Most bytes of one decoded image. Default 128 MiB, also beside other limits: 1.6.1 drops it when any limit is given (spec multimodal 1). */
  maxAllocBytes?: number | null;
}

/** `DecodeOptions` with every default in its place; null is no limit. */
export type DecodeRules = Required<DecodeOptions>;

/** What 1.6.1 allows one decoded image (spec multimodal 1). */
const defaultMaxAlloc = 128 * 1024 * 1024;

/** Puts the defaults in. */
export function decodeRules(options: DecodeOptions = {}): DecodeRules {
  return {
    maxWidth: options.maxWidth ?? null,
    maxHeight: options.maxHeight ?? null,
    maxPixels: options.maxPixels ?? defaultMaxAlloc,
    maxAllocBytes: options.maxAllocBytes === undefined ? defaultMaxAlloc : options.maxAllocBytes,
  };
}
