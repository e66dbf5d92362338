import { type Predictor, type PredictorOptions, Series } from './predictor.ts';

/** A level and its trend, followed through noise by a Kalman filter (spec planner 4). */
export function kalmanPredictor(options: PredictorOptions = {}): Predictor {
  const { levelNoise = 1, trendNoise = 0.1, measurementNoise = 10, minPoints = 5 } = options.kalman ?? {};
  const logarithmic = options.logarithmic ?? false;
  const filter = new LevelAndTrend(Math.max(1e-12, levelNoise), Math.max(1e-12, trendNoise), Math.max(1e-9, measurementNoise));
  const series = new Series();
  return {
    observe(value) {
      const taken = series.take(value);
      if (taken === undefined) return;
      filter.observe(logarithmic ? Math.log1p(Math.max(0, taken)) : taken);
    },
    predict() {
      if (series.count < minPoints) return series.last;
      const level = filter.predict();
      return Math.max(0, logarithmic ? Math.expm1(level) : level);
    },
  };
}

/** The filter of a level that moves by its trend, both with noise of their own; 2x2 matrices written out. */
class LevelAndTrend {
  readonly #levelNoise: number;
  readonly #trendNoise: number;
  readonly #measurementNoise: number;
  #level = 0;
  #trend = 0;
  // Covariance [[a, b], [b, d]].
  #a = 1_000;
  #b = 0;
  #d = 1_000;
  #begun = false;
  #ahead = false;

  constructor(levelNoise: number, trendNoise: number, measurementNoise: number) {
    this.#levelNoise = levelNoise;
    this.#trendNoise = trendNoise;
    this.#measurementNoise = measurementNoise;
  }

  /** Steps ahead once; the step counts for the next observation as well. */
  predict(): number {
    if (this.#ahead) return this.#level;
    this.#level += this.#trend;
    this.#a += 2 * this.#b + this.#d + this.#levelNoise;
    this.#b += this.#d;
    this.#d += this.#trendNoise;
    this.#ahead = true;
    return this.#level;
  }

  observe(measured: number): void {
    if (!this.#begun) {
      this.#begun = true;
      this.#level = measured;
      this.#trend = 0;
      return;
    }
    this.predict();
    this.#ahead = false;
    const spread = this.#a + this.#measurementNoise;
    const [gain, trendGain] = [this.#a / spread, this.#b / spread];
    const off = measured - this.#level;
    this.#level += gain * off;
    this.#trend += trendGain * off;
    // Joseph form: stays positive whatever is rounded.
    const kept = 1 - gain;
    const [a, b, d, noise] = [this.#a, this.#b, this.#d, this.#measurementNoise];
    this.#a = kept * kept * a + gain * gain * noise;
    this.#b = kept * (b - trendGain * a) + gain * trendGain * noise;
    this.#d = d - 2 * trendGain * b + trendGain * trendGain * (a + noise);
  }
}
