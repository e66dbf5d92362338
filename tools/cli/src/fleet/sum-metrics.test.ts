import { expect, test } from 'vitest';
import { sumMetrics } from './sum-metrics.ts';

const text = (value: number): string => `# HELP x_requests_total Requests
# TYPE x_requests_total counter
x_requests_total{model="a b} 1",status="ok"} ${value}
# TYPE x_seconds histogram
x_seconds_bucket{le="0.1"} ${value}
x_seconds_bucket{le="+Inf"} ${value + 1}
x_seconds_sum 0.5
x_seconds_count ${value + 1}
# TYPE x_inflight_requests gauge
x_inflight_requests{model="a"} ${value}
# TYPE x_model_context_length gauge
x_model_context_length{model="a"} 4096
`;

test('counters, histograms and what processes have of their own add up; what they say of the same thing does not', () => {
  expect(sumMetrics([text(1), text(2)])).toBe(`# HELP x_requests_total Requests
# TYPE x_requests_total counter
x_requests_total{model="a b} 1",status="ok"} 3
# TYPE x_seconds histogram
x_seconds_bucket{le="0.1"} 3
x_seconds_bucket{le="+Inf"} 5
x_seconds_sum 1
x_seconds_count 5
# TYPE x_inflight_requests gauge
x_inflight_requests{model="a"} 3
# TYPE x_model_context_length gauge
x_model_context_length{model="a"} 4096
`);
});

test('a family that only one has is kept, and one text stays what it is', () => {
  expect(sumMetrics([text(1), '# TYPE y gauge\ny +Inf\n'])).toBe(`${text(1)}# TYPE y gauge\ny +Inf\n`);
  expect(sumMetrics([text(7)])).toBe(text(7));
  expect(sumMetrics([])).toBe('');
});
