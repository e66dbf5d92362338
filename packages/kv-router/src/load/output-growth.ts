/** When output blocks are added to a running request, and with what decay (spec kv-router 7). */
export interface OutputGrowth {
  /** Takes note of new tokens; calls back once for every block that they have grown into. */
  grow(tokens: number): void;
}

/** Follows one answer. The prompt's own last, incomplete block is where output begins. */
export function outputGrowth(request: { isl: number; blockSize: number; expectedTokens?: number }, added: (decay?: number) => void): OutputGrowth {
  const { isl, blockSize, expectedTokens } = request;
  let blocks = Math.ceil(isl / blockSize);
  let written = 0;
  return {
    grow(tokens) {
      written += tokens;
      const reached = Math.ceil((isl + written) / blockSize);
      for (; blocks < reached; blocks++) added(expectedTokens === undefined ? undefined : Math.max(0, 1 - written / Math.max(1, expectedTokens)));
    },
  };
}
