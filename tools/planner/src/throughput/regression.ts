import type { EngineKind } from './capacity.ts';
import type { PassLoad, PassModel } from './model.ts';

/** One measured forward pass; idle ones take no time and teach nothing. */
export interface PassSample extends PassLoad {
  readonly seconds: number;
}

/** How a model learns; the defaults are those of spec planner 2. */
export interface RegressionOptions {
  /** Most samples that are kept; default 64. */
  readonly maxSamples?: number;
  /** Buckets over the range of what was seen, a perfect square; default 16. */
  readonly buckets?: number;
}

/** Fewest samples that make a model (spec planner 6). */
const fewestSamples = 5;

/** No pass is faster than this, in seconds (spec planner 6). */
const shortest = 1e-6;

/** A slope of requests this little below zero is taken for zero (spec planner 6). */
const slack = -1e-6;

const featuresOf: Readonly<Record<EngineKind, (load: PassLoad) => readonly number[]>> = {
  prefill: ({ prefillTokens }) => [prefillTokens],
  decode: ({ decodeRequests, decodeKvTokens }) => [decodeRequests, decodeKvTokens],
  agg: ({ prefillTokens, decodeKvTokens }) => [prefillTokens, decodeKvTokens],
};

/** Learns how long the passes of one kind of engine take from those that were measured, as a line through them (spec planner 6). */
export class PassRegression {
  readonly #kind: EngineKind;
  readonly #maxSamples: number;
  readonly #buckets: number;
  readonly #samples: { readonly features: readonly number[]; readonly seconds: number }[] = [];
  #weights: readonly number[] | null | undefined;

  constructor(kind: EngineKind, options: RegressionOptions = {}) {
    this.#kind = kind;
    this.#maxSamples = options.maxSamples ?? 64;
    this.#buckets = options.buckets ?? 16;
  }

  get size(): number {
    return this.#samples.length;
  }

  /** Takes a measured pass. Where there are too many alike, the oldest of these goes. */
  observe(sample: PassSample): void {
    if (!(sample.seconds > 0) || !Number.isFinite(sample.seconds)) return;
    const features = featuresOf[this.#kind](sample);
    if (features.some((value) => !Number.isFinite(value) || value < 0)) return;
    this.#samples.push({ features, seconds: sample.seconds });
    if (this.#samples.length > this.#maxSamples) this.#samples.splice(this.#oldestOfFullest(), 1);
    this.#weights = undefined;
  }

  /** The model; undefined with too few samples, or while they make no sense. */
  model(): PassModel | undefined {
    this.#weights ??= this.#fit();
    const weights = this.#weights;
    if (weights === null) return undefined;
    const features = featuresOf[this.#kind];
    return {
      seconds: (pass) =>
        Math.max(
          shortest,
          features(pass).reduce((sum, value, index) => sum + value * (weights[index + 1] ?? 0), weights[0] ?? 0),
        ),
    };
  }

  #fit(): readonly number[] | null {
    if (this.#samples.length < fewestSamples) return null;
    const weights = leastSquares(this.#samples);
    if (weights === undefined) return null;
    const slopes = weights.slice(1);
    // Of requests beside their tokens there is often nothing to learn.
    if (this.#kind === 'decode' && (slopes[0] ?? 0) < slack) slopes[0] = 0;
    return slopes.some((slope) => slope < slack) ? null : [weights[0] ?? 0, ...slopes.map((slope) => Math.max(0, slope))];
  }

  #oldestOfFullest(): number {
    const axes = this.#samples[0]?.features.length ?? 1;
    const each = axes === 1 ? this.#buckets : Math.round(Math.sqrt(this.#buckets));
    const ranges = Array.from({ length: axes }, (_, axis) => {
      const values = this.#samples.map(({ features }) => features[axis] ?? 0);
      return { low: Math.min(...values), high: Math.max(...values) };
    });
    const counts = new Map<number, { count: number; oldest: number }>();
    for (const [index, { features }] of this.#samples.entries()) {
      const bucket = ranges.reduce((name, { low, high }, axis) => {
        const place = high > low ? Math.min(each - 1, Math.floor((((features[axis] ?? 0) - low) / (high - low)) * each)) : 0;
        return name * each + place;
      }, 0);
      const found = counts.get(bucket);
      if (found === undefined) counts.set(bucket, { count: 1, oldest: index });
      else found.count++;
    }
    let fullest = { count: 0, oldest: 0 };
    for (const found of counts.values()) if (found.count > fullest.count) fullest = found;
    return fullest.oldest;
  }
}

/** Weights of the constant and of each feature, by centred least squares; what never changes weighs nothing. */
function leastSquares(samples: readonly { readonly features: readonly number[]; readonly seconds: number }[]): number[] | undefined {
  const axes = samples[0]?.features.length ?? 0;
  const mean = (of: (index: number) => number): number => samples.reduce((sum, _, index) => sum + of(index), 0) / samples.length;
  const means = Array.from({ length: axes }, (_, axis) => mean((index) => samples[index]?.features[axis] ?? 0));
  const meanSeconds = mean((index) => samples[index]?.seconds ?? 0);
  const product = (left: number, right: number | 'seconds'): number =>
    samples.reduce((sum, { features, seconds }) => {
      const one = (features[left] ?? 0) - (means[left] ?? 0);
      return sum + one * (right === 'seconds' ? seconds - meanSeconds : (features[right] ?? 0) - (means[right] ?? 0));
    }, 0);
  const [a, b, d] = [product(0, 0), axes > 1 ? product(0, 1) : 0, axes > 1 ? product(1, 1) : 0];
  const [p, q] = [product(0, 'seconds'), axes > 1 ? product(1, 'seconds') : 0];
  const slopes = solved({ a, b, d, p, q });
  if (slopes === undefined || slopes.some((slope) => !Number.isFinite(slope))) return undefined;
  const used = slopes.slice(0, axes);
  return [used.reduce((sum, slope, axis) => sum - slope * (means[axis] ?? 0), meanSeconds), ...used];
}

function solved({ a, b, d, p, q }: Readonly<Record<'a' | 'b' | 'd' | 'p' | 'q', number>>): number[] | undefined {
  if (a === 0 && d === 0) return undefined;
  if (a === 0) return [0, q / d];
  const left = d - (b * b) / a;
  // Features that move together share what they explain: the least weights that do.
  if (d === 0 || left <= 1e-9 * d) {
    const scale = (p * a + q * b) / (a * a + b * b);
    return d === 0 ? [p / a, 0] : [(scale * a) / (a + d), (scale * b) / (a + d)];
  }
  const second = (q - (b * p) / a) / left;
  return [(p - b * second) / a, second];
}
