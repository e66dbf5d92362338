export { labelValue, metricName } from './sanitize.ts';
export { encodeNumber } from './encode.ts';
