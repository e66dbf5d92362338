export { automaticLabels, labelValue, metricName } from './sanitize.ts';
export { encodeNumber } from './encode.ts';
export { attach } from './metrics.ts';
export { exposeProcess, exposeRegistry } from './prom-client.ts';
export { watchEventLoop } from './event-loop.ts';
