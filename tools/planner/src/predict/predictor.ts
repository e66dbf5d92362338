/** Guesses the next value of one series, such as the requests of an interval (spec planner 4). */
export interface Predictor {
  /** Takes the value of the interval that has ended; NaN counts as 0. */
  observe(value: number): void;
  /** The value of the next interval. Asking twice gives the same answer. */
  predict(): number;
}

/** How predictors are set up; the defaults are those of spec planner 2. */
export interface PredictorOptions {
  readonly kalman?: {
    /** Variance of the level's own steps; default 1. */
    readonly levelNoise?: number;
    /** Variance of the trend's own steps; default 0.1. */
    readonly trendNoise?: number;
    /** Variance of what is measured; default 10. */
    readonly measurementNoise?: number;
    /** With fewer values the last one is the guess; default 5. */
    readonly minPoints?: number;
  };
  /** Whether the series is filtered as log(1 + value). */
  readonly logarithmic?: boolean;
}

/** A series without its leading zeros: before the first request there is nothing to learn from (spec planner 4). */
export class Series {
  #count = 0;
  #last = 0;

  /** The value to learn from; undefined for one of the leading zeros. */
  take(value: number): number | undefined {
    const taken = Number.isNaN(value) ? 0 : value;
    if (this.#count === 0 && taken === 0) return undefined;
    this.#count++;
    this.#last = taken;
    return taken;
  }

  get count(): number {
    return this.#count;
  }

  /** 0 before the first. */
  get last(): number {
    return this.#last;
  }
}
