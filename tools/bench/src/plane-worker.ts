import { DistributedRuntime } from '@dynamo/runtime';

const [path] = process.argv.slice(2) as [`${string}.${string}.${string}`];
const stopping = new AbortController();
process.on('SIGTERM', () => stopping.abort());
await using runtime = await DistributedRuntime.connect({ discovery: 'file', signal: stopping.signal });
await using served = await runtime.serve<{ n: number; bytes: number }, { i: number; text?: string }>(path, async function* ({ n, bytes }) {
  for (let i = 0; i < n; i++) yield bytes > 0 ? { i, text: 'x'.repeat(bytes) } : { i };
});
console.log('ready');
await served.closed;
