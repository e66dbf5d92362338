import { DistributedRuntime } from '@dynamo/runtime';

const [path] = process.argv.slice(2) as [`${string}.${string}.${string}`];
const stopping = new AbortController();
process.on('SIGTERM', () => stopping.abort());
await using runtime = await DistributedRuntime.connect({ discovery: 'file', signal: stopping.signal });
await using served = await runtime.serve<{ n: number }, { i: number }>(path, async function* (request) {
  for (let i = 0; i < request.n; i++) yield { i };
});
console.log('ready');
await served.closed;
