import { type Predictor, Series } from './predictor.ts';

/** The next interval is as the last one. */
export function constantPredictor(): Predictor {
  const series = new Series();
  return {
    observe: (value) => void series.take(value),
    predict: () => series.last,
  };
}
