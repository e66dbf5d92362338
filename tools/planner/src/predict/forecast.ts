import type { Traffic } from '../throughput/decide.ts';
import { predictorNamed } from './index.ts';
import type { Predictor, PredictorOptions } from './predictor.ts';

/** Which predictor guesses traffic, and how it is set up; `kalman` by default. */
export interface ForecastOptions extends PredictorOptions {
  readonly predictor?: string;
}

/** Guesses the traffic of the next interval: requests, prompts and answers each by a predictor of their own, the rest as it was last (spec planner 4). */
export class TrafficForecast {
  readonly #requests: Predictor;
  readonly #input: Predictor;
  readonly #output: Predictor;
  #last: Pick<Traffic, 'kvHitRate' | 'acceptLength'> = {};

  constructor({ predictor = 'kalman', ...options }: ForecastOptions = {}, warn: (text: string) => void = () => {}) {
    this.#requests = predictorNamed(predictor, options, warn);
    this.#input = predictorNamed(predictor, options);
    this.#output = predictorNamed(predictor, options);
  }

  observe({ requests, inputTokens, outputTokens, ...rest }: Traffic): void {
    this.#requests.observe(requests);
    this.#input.observe(inputTokens);
    this.#output.observe(outputTokens);
    this.#last = { kvHitRate: rest.kvHitRate ?? null, acceptLength: rest.acceptLength ?? null };
  }

  predict(): Traffic {
    return { ...this.#last, requests: this.#requests.predict(), inputTokens: this.#input.predict(), outputTokens: this.#output.predict() };
  }
}
