import { Client, type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { DistributedRuntime, type HandlerContext } from '@dynamo/runtime';
import type { TokenChunk, TokenRequest } from '@dynamo/kv-router';
import { vi } from 'vitest';
import type { Frontend, FrontendOptions } from '../../frontend/frontend.ts';
import { Llm } from '../../llm.ts';
import type { Tensors } from '../../model/tensor-types.ts';
import { tinyModel } from '../../testing/scripted-worker.ts';

/** A frontend with a KServe door before a model of tensors and one of completions. */
export interface Scene extends AsyncDisposable {
  readonly frontend: Frontend;
  readonly client: Client;
  /** Requests that their engine has seen end early. */
  readonly stopped: string[];
  /** What the tensor engine was asked. */
  readonly asked: Tensors[];
}

/** Answers as the string parameter `op` of a request says; see `test/interop/peers/py_tensor.py`. */
async function* tensorEngine(scene: Pick<Scene, 'stopped' | 'asked'>, request: Tensors, context: HandlerContext): AsyncGenerator<Tensors> {
  scene.asked.push(request);
  const { op = 'echo', ...rest } = request.parameters ?? {};
  if (op === 'raise') throw new RangeError('scripted boom');
  if (op === 'miscount') yield { tensors: [{ name: 'y', datatype: 'INT32', shape: [3], values: [7, 8] }] };
  else if (op === 'misfit') yield { tensors: [{ name: 'y', datatype: 'INT8', shape: [1], values: [300] }] };
  else if (op !== 'none') yield { tensors: request.tensors, ...(Object.keys(rest).length === 0 ? {} : { parameters: rest }) };
  if (op === 'twice') yield { tensors: request.tensors };
  if (op === 'wait') await stopped(context);
  if (context.signal.aborted) scene.stopped.push(String(op));
}

const stopped = (context: HandlerContext): Promise<void> =>
  new Promise((resolve) => {
    if (context.signal.aborted) resolve();
    else context.signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Opens the scene; the frontend is closed before its runtime. */
export async function openScene(options: FrontendOptions = {}, channel: ChannelCredentials = credentials.createInsecure()): Promise<Scene> {
  await using undo = new AsyncDisposableStack();
  const runtime = undo.use(await DistributedRuntime.connect({ discovery: 'mem' }));
  const llm = new Llm(runtime);
  const seen = { stopped: [] as string[], asked: [] as Tensors[] };
  await llm.serve({
    endpoint: 'kserve.backend.tensor',
    model: 'tensor',
    input: 'tensor',
    tensors: { inputs: [{ name: 'x', datatype: 'INT32', shape: [-1] }], outputs: [{ name: 'y', datatype: 'FP16', shape: [-1, 2] }] },
    engine: (request: Tensors, context: HandlerContext) => tensorEngine(seen, request, context),
  });
  await llm.serve({
    endpoint: 'kserve.backend.text',
    model: tinyModel,
    name: 'text',
    surfaces: ['completions'],
    // Gives the prompt back, token by token; waits at the end where the prompt says so.
    engine: async function* (request: TokenRequest, context: HandlerContext): AsyncGenerator<TokenChunk> {
      for (const id of request.tokenIds) yield { tokenIds: [id] };
      if (Buffer.from(request.tokenIds).includes('wait')) await stopped(context);
      if (context.signal.aborted) seen.stopped.push('text');
      else yield { tokenIds: [], finishReason: 'stop' };
    },
  });
  const frontend = undo.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 }, ...options }));
  const client = new Client(frontend.grpcAddress.replace('127.0.0.1', 'localhost'), channel);
  undo.defer(() => client.close());
  await vi.waitFor(() => {
    if (frontend.models.length < 2) throw new Error('the models are not there yet');
  }, 10_000);
  const kept = undo.move();
  return { frontend, client, ...seen, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
