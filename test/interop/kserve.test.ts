import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Llm, type Tensors, type TokenChunk, type TokenRequest } from '@dynamo/llm';
import { DistributedRuntime, type HandlerContext } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findPython, freePort, type Peer, scene, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const triton = process.env['TRITON_PYTHON'] ?? here('.venv-triton/bin/python');
const missing =
  'missing' in found ? found.missing : existsSync(triton) ? undefined : `no Triton client at ${triton}: run test/interop/make-triton.sh`;
if (missing !== undefined) console.warn(`skipped: ${missing}`);
const tiny = here('../../vectors/llm/model-tiny');

interface Told {
  name: string;
  result?: unknown;
  error?: [string, string];
}

/** Every call of the real client against one frontend and one pair of models. */
async function tritonCalls(address: string, models: readonly [string, string]): Promise<Told[]> {
  const child = spawn(triton, [here('peers/py_triton.py'), address, ...models], { stdio: ['ignore', 'pipe', 'inherit'] });
  const told: Told[] = [];
  for await (const line of createInterface({ input: child.stdout })) told.push(JSON.parse(line) as Told);
  return told;
}

const stoppedOnes: string[] = [];
const untilStopped = async ({ signal }: HandlerContext, what: string): Promise<void> => {
  while (!signal.aborted) await sleep(20);
  stoppedOnes.push(what);
};

/** What peers/py_tensor.py does, in ours. */
async function* tensors(request: Tensors, context: HandlerContext): AsyncGenerator<Tensors> {
  const op = request.parameters?.['op'] ?? 'echo';
  if (['echo', 'twice', 'wait'].includes(String(op))) yield { tensors: request.tensors };
  if (op === 'twice') yield { tensors: request.tensors };
  if (op === 'wait') await untilStopped(context, 'tensor');
}

async function* text(request: TokenRequest, context: HandlerContext): AsyncGenerator<TokenChunk> {
  for (const id of request.tokenIds) yield { tokenIds: [id] };
  if (Buffer.from(request.tokenIds).includes('wait')) await untilStopped(context, 'text');
  else yield { tokenIds: [], finishReason: 'stop' };
}

describe.skipIf(missing !== undefined)('KServe, real and ours at every place', () => {
  const stack = new AsyncDisposableStack();
  let theirWorker: Peer;
  let theirs: string;
  let ours: string;

  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    const llm = new Llm(stack.use(await DistributedRuntime.connect()));
    const shape = [-1] as const;
    await llm.serve({
      endpoint: 'kserve.ours.tensor',
      model: 'our-tensor',
      input: 'tensor',
      tensors: { inputs: [{ name: 'x', datatype: 'INT32', shape }], outputs: [{ name: 'y', datatype: 'INT32', shape }] },
      engine: tensors,
    });
    await llm.serve({ endpoint: 'kserve.ours.text', model: tiny, name: 'our-text', surfaces: ['completions'], engine: text });
    theirWorker = stack.use(startPeer(python, 'py_tensor.py', { args: ['kserve.theirs', tiny, 'real-tensor', 'real-text'], env }));
    const [port, metricsPort] = [await freePort(), await freePort()];
    theirs = `127.0.0.1:${port}`;
    const args = ['-m', 'dynamo.frontend', '--discovery-backend', 'file', '--request-plane', 'tcp', '--event-plane', 'zmq', '--kserve-grpc-server'];
    const real = spawn(python, [...args, '--http-host', '127.0.0.1', '--http-port', String(port), '--grpc-metrics-port', String(metricsPort)], {
      env: { ...process.env, ...env, HF_HUB_OFFLINE: '1' },
      stdio: process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore',
    });
    const ended = new Promise((resolve) => real.once('close', resolve));
    stack.defer(async () => {
      real.kill('SIGKILL');
      await ended;
    });
    const frontend = stack.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } }));
    ours = frontend.grpcAddress;
    const all = ['our-tensor', 'our-text', 'real-tensor', 'real-text'];
    await vi.waitFor(() => expect(frontend.models.toSorted()).toEqual(all), 40_000);
    const listed = async (): Promise<string[]> => {
      const response = await fetch(`http://127.0.0.1:${metricsPort}/v1/models`).catch(() => undefined);
      const { data = [] } = ((await response?.json()) ?? {}) as { data?: { id: string }[] };
      return data.map(({ id }) => id).toSorted();
    };
    await vi.waitFor(async () => expect(await listed()).toEqual(all), 40_000);
  }, 100_000);
  afterAll(() => stack.disposeAsync());

  test.for([
    ['ours', ['our-tensor', 'our-text']],
    ['real ones', ['real-tensor', 'real-text']],
  ] as const)("Triton's client can't tell the frontends apart, with workers that are %s", async ([, models]) => {
    const [atTheirs, atOurs] = [await tritonCalls(theirs, models), await tritonCalls(ours, models)];
    expect(atOurs.length).toBeGreaterThan(35);
    expect(atOurs).toEqual(atTheirs);
    const of = (name: string): Told | undefined => atOurs.find((told) => told.name === name);
    expect(of('tensor uint64')?.result).toMatchObject({ outputs: [['x', 'UINT64', [2], [0, 2 ** 64]]] });
    expect(of('text')?.result).toMatchObject({
      outputs: [
        ['text_output', 'BYTES', [1], ['hello']],
        ['finish_reason', 'BYTES', [1], ['stop']],
      ],
    });
    expect(of('tensor twice')?.error?.[0]).toBe('StatusCode.INTERNAL');
    // What was cancelled has reached its worker, from both frontends.
    const stops = (): number =>
      models[0] === 'our-tensor' ? stoppedOnes.length : theirWorker.lines.filter(({ event }) => event === 'stopped').length;
    await expect.poll(stops, { timeout: 20_000 }).toBe(4);
  });
});
