/**
 * Interop peer: a worker of ours that takes the requests and prints the lines of `py_worker.py`.
 *
 * `worker.ts ENDPOINT_PATH`, configured with the usual `DYN_*` variables; beside it, as `….bidi`, it serves the two-way endpoint.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedRuntime, DynamoError, type EndpointPath, type HandlerContext } from '@dynamo/runtime';

interface Request {
  readonly op?: 'echo' | 'count' | 'raise' | 'big' | 'wait';
  readonly n?: number;
  readonly after?: number;
  readonly msg?: string;
  readonly size?: number;
  /** In seconds. */
  readonly delay?: number;
}

const say = (line: Record<string, unknown>): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

/** What a handler may see of its caller's wish. */
const state = (context: HandlerContext): Record<string, unknown> => ({
  id: context.id,
  stopped: context.signal.aborted,
  killed: context.killSignal.aborted,
});

async function* answer(request: Request, context: HandlerContext): AsyncGenerator<unknown> {
  const pause = (): Promise<unknown> => sleep((request.delay ?? 0) * 1_000, undefined, { signal: context.signal }).catch(() => undefined);
  switch (request.op) {
    case 'count':
      for (let i = 0; i < (request.n ?? 3) && !context.signal.aborted; i++) {
        yield { i };
        if (request.delay !== undefined) await pause();
      }
      return;
    case 'raise':
      for (let i = 0; i < (request.after ?? 0); i++) yield { i };
      throw new DynamoError('invalid_argument', `ValueError: ${request.msg}`, { origin: 'backend', data: { reason: 'backend.invalid_argument' } });
    case 'big':
      return yield { s: 'x'.repeat(request.size ?? 0) };
    case 'wait':
      for (let alive = 0; !context.signal.aborted; alive++) {
        yield { alive };
        await pause();
      }
      return;
    default:
      yield { echo: request };
  }
}

async function* generate(request: Request, context: HandlerContext): AsyncGenerator<unknown> {
  try {
    yield* answer(request, context);
  } finally {
    // What a reader that left has sent may arrive a little after this generator was closed.
    setTimeout(() => say({ event: 'done', ...state(context) }), 100);
  }
}

async function* talk(input: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  for await (const got of input) yield { got };
  yield { end: true };
}

const path = process.argv[2] as EndpointPath;
await using runtime = await DistributedRuntime.connect();
process.once('SIGTERM', () => void runtime[Symbol.asyncDispose]());
await using served = await runtime.serve(path, generate);
await using _both = await runtime.serve(path.replace(/[^.]*$/, 'bidi') as EndpointPath, talk, { input: 'stream' });
say({ event: 'start', path, pid: process.pid });
await served.closed;
