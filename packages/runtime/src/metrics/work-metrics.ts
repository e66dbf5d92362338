import type { Metrics } from '@dynamo/metrics';
import type { Admission } from '../endpoint/admission.ts';

/** Counts what all endpoints of a runtime share: places to run and to wait, and the way of a request. */
export interface WorkMetrics {
  /** The same admission, counted. */
  counted(admission: Admission): Admission;
  /** A request has come over the network; `sentNanos` is the caller's clock as its header tells it. */
  arrived(sentNanos: string | undefined): void;
  /** A request has got the start of its answer, this many seconds after it began to run. */
  answered(seconds: number): void;
}

/** Bounds of the real system's histograms, in seconds (spec metrics 5). */
const buckets = {
  permitWait: [0.0001, 0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60],
  transit: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
  firstResponse: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
};

/** Makes the families that the real system keeps without labels (spec runtime-wire 15). */
export function countWork(metrics: Metrics, limits: { concurrency: number; queue: number }): WorkMetrics {
  let running = 0;
  let waiting = 0;
  const poolActive = metrics.gauge('work_handler_pool_active_tasks', 'Current number of active worker-pool tasks (permits in use)');
  const queued = metrics.gauge('work_handler_queue_depth', 'Current items in the bounded work queue awaiting dispatcher pickup');
  const inEngine = metrics.gauge('engine_request', 'Current number of requests being handled by the engine (--engine-request-limit)');
  const inQueue = metrics.gauge('request_queue', 'Current number of requests queued in Dynamo not yet in the engine (--dynamo-request-queue-limit)');
  metrics.gauge('work_handler_pool_capacity', 'Configured worker-pool capacity (total permits)').set(limits.concurrency);
  metrics.gauge('work_handler_queue_capacity', 'Configured capacity of the bounded work queue').set(limits.queue);
  // One pool and one queue serve both names: the limit of the engine is that of the pool.
  metrics.onScrape(() => {
    for (const gauge of [poolActive, inEngine]) gauge.set(running);
    for (const gauge of [queued, inQueue]) gauge.set(waiting);
  });
  const rejected = metrics.counter(
    'rejection_request_total',
    'Requests rejected because the worker is at capacity (engine in-flight limit and Dynamo queue both full)',
  );
  // There is no such channel here; dashboards ask for the family all the same.
  metrics.counter('work_handler_enqueue_rejected_total', 'Times enqueuing work failed because the dispatcher channel was closed');
  const histogram = (name: string, help: string, bounds: readonly number[]) => metrics.histogram(name, help, { buckets: bounds });
  const permitWait = histogram('work_handler_permit_wait_seconds', 'Time spent waiting for a worker-pool permit (seconds)', buckets.permitWait);
  const transit = histogram(
    'work_handler_network_transit_seconds',
    'Frontend-to-backend network transit time (cross-process wall-clock, seconds)',
    buckets.transit,
  );
  const firstResponse = histogram(
    'work_handler_time_to_first_response_seconds',
    'Backend processing time from handle_payload entry to prologue sent (seconds)',
    buckets.firstResponse,
  );
  return {
    counted: (admission) => ({
      admit(work) {
        const since = performance.now();
        let begun = false;
        let waited = false;
        const admitted = admission.admit(async () => {
          begun = true;
          running++;
          if (waited) {
            waiting--;
            permitWait.observe((performance.now() - since) / 1_000);
          }
          await work().finally(() => running--);
        });
        if (!admitted) rejected.inc();
        else if (!begun) {
          waited = true;
          waiting++;
        }
        return admitted;
      },
    }),
    arrived(sentNanos) {
      if (sentNanos === undefined || !/^\d{1,20}$/.test(sentNanos)) return;
      // Clocks of two machines differ: a request is never counted as here before it was sent.
      transit.observe(Math.max(0, (performance.timeOrigin + performance.now()) / 1_000 - Number(sentNanos) / 1e9));
    },
    answered: (seconds) => firstResponse.observe(seconds),
  };
}
