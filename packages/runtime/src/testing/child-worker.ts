import { DistributedRuntime } from '../runtime.ts';

/** A worker in a process of its own, for tests that stop or kill it: `child-worker.ts ENDPOINT`. Requests are `{ op, n, size }`. */
await using runtime = await DistributedRuntime.connect({ discovery: 'file' });
await using served = await runtime.serve<{ op: 'count' | 'large' | 'memory'; n?: number; size?: number }, unknown>(
  process.argv[2] as `${string}.${string}.${string}`,
  async function* ({ op, n = 0, size = 0 }) {
    if (op === 'memory') yield process.memoryUsage.rss();
    for (let i = 0; i < n; i++) {
      if (op === 'large') yield { i, text: 'x'.repeat(size) };
      else {
        yield { i };
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
  },
);
process.stdout.write('ready\n');
await served.closed;
