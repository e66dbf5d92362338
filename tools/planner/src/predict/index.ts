import { DynamoError } from '@dynamo/runtime';
import { constantPredictor } from './constant.ts';
import { kalmanPredictor } from './kalman.ts';
import type { Predictor, PredictorOptions } from './predictor.ts';

/** Every predictor by name: a new one is one file and one line here. */
export const predictors: Readonly<Record<'constant' | 'kalman', (options: PredictorOptions) => Predictor>> = {
  constant: constantPredictor,
  kalman: kalmanPredictor,
};

/** Names of the predictors that exist. */
export type PredictorName = keyof typeof predictors;

/**
 * The predictor of a name; `arima` is answered by `kalman` with a warning (spec planner 4).
 *
 * @throws DynamoError `not_implemented` for `prophet`, `invalid_argument` for a name that nobody knows.
 */
export function predictorNamed(name: string, options: PredictorOptions = {}, warn: (text: string) => void = () => {}): Predictor {
  if (name === 'arima') {
    warn("the load predictor 'arima' is not built: 'kalman' predicts in its place");
    return predictors.kalman(options);
  }
  if (name === 'prophet')
    throw new DynamoError('not_implemented', "the load predictor 'prophet' is not built: take 'kalman' or 'constant'", { data: { predictor: name } });
  if (!Object.hasOwn(predictors, name))
    throw new DynamoError('invalid_argument', `there is no load predictor '${name}': take ${Object.keys(predictors).join(' or ')}`, {
      data: { predictor: name },
    });
  return predictors[name as PredictorName](options);
}
