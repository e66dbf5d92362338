import { expect, test } from 'vitest';
import { vectorsOf } from '../testing/vectors.ts';
import { constantPredictor } from './constant.ts';
import { predictorNamed } from './index.ts';
import { kalmanPredictor } from './kalman.ts';

const number = (value: number | null): number => value ?? NaN;

test('constant: the series of 1.6.1', () => {
  const { series, predictions } = vectorsOf<{ series: (number | null)[]; predictions: number[] }>('constant');
  const predictor = constantPredictor();
  const got = series.map((value) => {
    predictor.observe(number(value));
    return predictor.predict();
  });
  expect(got).toEqual(predictions);
});

interface KalmanCase {
  readonly config: {
    readonly kalman_q_level: number;
    readonly kalman_q_trend: number;
    readonly kalman_r: number;
    readonly kalman_min_points: number;
    readonly load_predictor_log1p: boolean;
  };
  readonly series: readonly (number | null)[];
  readonly predictions: readonly (readonly [number, number])[];
}

test('kalman: the series of 1.6.1, each prediction asked for twice', () => {
  const cases = vectorsOf<KalmanCase[]>('kalman');
  expect(cases).toHaveLength(12);
  for (const { config, series, predictions } of cases) {
    const predictor = kalmanPredictor({
      kalman: {
        levelNoise: config.kalman_q_level,
        trendNoise: config.kalman_q_trend,
        measurementNoise: config.kalman_r,
        minPoints: config.kalman_min_points,
      },
      logarithmic: config.load_predictor_log1p,
    });
    for (const [step, value] of series.entries()) {
      predictor.observe(number(value));
      for (const expected of predictions[step] ?? []) {
        const got = predictor.predict();
        expect(Math.abs(got - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected)));
      }
    }
  }
});

test('names: arima is answered by kalman with a warning, prophet and the unknown are refused', () => {
  const warnings: string[] = [];
  const [arima, kalman] = [predictorNamed('arima', {}, (text) => warnings.push(text)), predictorNamed('kalman')];
  for (const value of [10, 12, 11, 15, 19, 22]) for (const predictor of [arima, kalman]) predictor.observe(value);
  expect(arima.predict()).toBe(kalman.predict());
  expect(warnings).toEqual(["the load predictor 'arima' is not built: 'kalman' predicts in its place"]);
  expect(() => predictorNamed('prophet')).toThrow(expect.objectContaining({ code: 'not_implemented' }));
  expect(() => predictorNamed('constructor')).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
});
