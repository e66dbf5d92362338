// Metrics of one's own, in the text that Prometheus reads; labels are bound once, counting costs no look-up.
import assert from 'node:assert/strict';
import { Metrics, prometheusNames } from '@dynamo/metrics';

const metrics = new Metrics({ labels: { dynamo_namespace: 'demo' } });
const requests = metrics.counter('requests_total', 'Requests accepted', { labelNames: ['route'] });
const seconds = metrics.histogram('seconds', 'How long they took', { buckets: [0.1, 1] });
const chat = requests.with({ route: 'chat' });
for (const took of [0.05, 0.5, 5]) {
  chat.inc();
  seconds.observe(took);
}
// Refreshed just before a text is made.
const depth = metrics.gauge('queue_depth', 'Requests that wait');
metrics.onScrape(() => depth.set(7));

const text = await metrics.text();
console.log(
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .join('\n'),
);
assert.match(text, /requests_total\{dynamo_namespace="demo",route="chat"\} 3/);
assert.equal(prometheusNames.frontend_service.REQUESTS_TOTAL, 'requests_total');
