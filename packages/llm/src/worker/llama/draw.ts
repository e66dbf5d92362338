import type { SamplingOptions } from '@dynamo/kv-router';

/** Tokens with their scores, the likeliest first. */
export interface Candidates {
  readonly ids: readonly number[];
  readonly scores: Float64Array;
}

/** How often the answer and the prompt have each token. */
export interface Seen {
  readonly prompt: ReadonlySet<number>;
  readonly answer: ReadonlyMap<number, number>;
}

/** Lowers the scores of tokens that were said already: by a factor once, by an amount once, and by an amount each time. */
export function penalize({ ids, scores }: Candidates, seen: Seen, sampling: SamplingOptions): void {
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = sampling;
  if (!hasPenalties(sampling)) return;
  for (const [at, id] of ids.entries()) {
    const times = seen.answer.get(id) ?? 0;
    let score = scores[at] as number;
    if (times > 0 || seen.prompt.has(id)) score = score > 0 ? score / repetitionPenalty : score * repetitionPenalty;
    if (times > 0) score -= presencePenalty + frequencyPenalty * times;
    scores[at] = score;
  }
}

/** Whether what was said already counts. */
export const hasPenalties = ({ repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 }: SamplingOptions): boolean =>
  repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;

/** Puts the likeliest first. */
export function sorted({ ids, scores }: Candidates): Candidates {
  const order = Array.from(ids.keys()).toSorted((a, b) => (scores[b] as number) - (scores[a] as number));
  return { ids: order.map((at) => ids[at] as number), scores: Float64Array.from(order, (at) => scores[at] as number) };
}

/**
 * Draws a token: temperature first, then `min_p`, `top_k` and `top_p` in this order, each over what the one before has left. With
 * temperature 0 the likeliest is taken. `random` is in [0, 1).
 */
export function draw(candidates: Candidates, { temperature = 1, minP = 0, topK = 0, topP = 1 }: SamplingOptions, random: () => number): number {
  const { ids, scores } = candidates;
  if (temperature < 1e-5) return ids[0] as number;
  const highest = scores[0] as number;
  let end = topK > 0 ? Math.min(topK, ids.length) : ids.length;
  const weights = new Float64Array(end);
  let total = 0;
  for (let at = 0; at < end; at++) {
    const weight = Math.exp(((scores[at] as number) - highest) / temperature);
    // Against the likeliest, whose weight is 1.
    if (weight < minP) {
      end = at;
      break;
    }
    weights[at] = weight;
    total += weight;
  }
  if (topP < 1) {
    let sum = 0;
    const most = topP * total;
    for (let at = 0; at < end; at++) {
      sum += weights[at] as number;
      if (sum >= most) end = at + 1;
    }
    total = sum;
  }
  let left = random() * total;
  for (let at = 0; at < end - 1; at++) if ((left -= weights[at] as number) < 0) return ids[at] as number;
  return ids[end - 1] as number;
}

/** Numbers in [0, 1) that follow from a seed alone. */
export function seededRandom(seed: number | bigint): () => number {
  let state = Number(BigInt.asUintN(32, BigInt(seed) ^ (BigInt(seed) >> 32n)));
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
