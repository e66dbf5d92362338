/**
 * Interop peer: a client of ours that makes the calls of a plan, as `py_caller.py` does for the real one.
 *
 * `caller.ts PLAN` where the plan is the JSON of `CallerPlan`. One JSON line for each call; calls marked `later` begin when a line
 * arrives on standard input, all at once, and each says first that it has begun.
 */
import { once } from 'node:events';
import { type Client, DistributedRuntime, DynamoError, type EndpointPath } from '@dynamo/runtime';
import type { PlannedCall } from '../matrix-plan.ts';
import { summary } from './summary.ts';

const say = (line: Record<string, unknown>): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

async function* input(count: number): AsyncGenerator<{ i: number }> {
  for (let i = 0; i < count; i++) yield { i };
}

async function make(call: PlannedCall, client: Client<unknown, unknown>): Promise<void> {
  const { name, worker, id, stopAfter, dropAfter } = call;
  const stop = new AbortController();
  const items: unknown[] = [];
  const request =
    call.input !== undefined ? input(call.input) : call.fill !== undefined ? { ...call.request, s: 'x'.repeat(call.fill) } : call.request;
  try {
    for await (const item of client.generate(request, { id, signal: stop.signal })) {
      items.push(summary(item));
      if (call.later === true && items.length === 3) say({ name, worker, begun: true });
      if (items.length === stopAfter) stop.abort();
      if (items.length === dropAfter) break;
    }
    say({ name, worker, items, end: 'ok' });
  } catch (error) {
    const { code, origin, message } = DynamoError.from(error);
    say({ name, worker, items, end: 'error', code, origin, message });
  }
}

const plan = JSON.parse(process.argv[2] ?? '') as readonly PlannedCall[];
await using runtime = await DistributedRuntime.connect();
const clients = new Map<string, Client<unknown, unknown>>();
for (const { endpoint } of plan) {
  if (clients.has(endpoint)) continue;
  const client = await runtime.client<unknown, unknown>(endpoint as EndpointPath);
  clients.set(endpoint, client);
  await client.ready();
}
const run = (call: PlannedCall): Promise<void> => make(call, clients.get(call.endpoint)!);
for (const call of plan) if (call.later !== true && call.last !== true) await run(call);
say({ ready: true });
await once(process.stdin, 'data');
await Promise.all(plan.filter((call) => call.later).map(run));
for (const call of plan) if (call.last === true) await run(call);
process.stdin.destroy();
