import { type Engine, type Frontend, type FrontendOptions, Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { expect, vi } from 'vitest';
import { freePort, scene, startFrontend } from './python.ts';
import { tiny } from './tiny-model.ts';

/** Our frontend and the real one, on the same worker of ours, which has parsers. */
export interface BothFrontends extends AsyncDisposable {
  readonly ours: Frontend;
  /** Address of the real one. */
  readonly real: string;
}

/** Starts them; resolved when both list the model `tiny`. `http` are options of ours, `args` flags of the real one. */
export async function bothFrontends(
  python: string,
  engine: Engine,
  { http = {}, args = [] }: { http?: FrontendOptions['http']; args?: readonly string[] } = {},
): Promise<BothFrontends> {
  await using stack = new AsyncDisposableStack();
  const { env } = stack.use(await scene());
  Object.assign(process.env, env);
  const llm = new Llm(stack.use(await DistributedRuntime.connect()));
  const parsers = { tools: 'hermes', reasoning: 'qwen3' };
  stack.use(await llm.serve({ endpoint: 'dynamo.ours.generate', model: tiny, name: 'tiny', engine, parsers }));
  const ours = stack.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0, ...http } }));
  const real = stack.use(await startFrontend(python, { port: await freePort(), env, args })).url;
  await vi.waitFor(async () => expect(await (await fetch(`${real}/v1/models`)).text()).toContain('"tiny"'), 30_000);
  await vi.waitFor(() => expect(ours.models).toEqual(['tiny']), 30_000);
  const kept = stack.move();
  return { ours, real, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
