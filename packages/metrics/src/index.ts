export { Metrics } from './metrics.ts';
export { prometheusNames } from './names.ts';
export type { Counter, Gauge, Histogram } from './instruments.ts';
export type { HistogramOptions, InstrumentOptions, OnProblem } from './metrics.ts';
