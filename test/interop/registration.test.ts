import { fileURLToPath } from 'node:url';
import { Llm, type ServeModelOptions } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { describe, expect, test } from 'vitest';
import { findPython, freePort, scene, startFrontend, startOurFrontend, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

type Wish = Pick<ServeModelOptions, 'input' | 'surfaces' | 'role' | 'needs' | 'aliases' | 'userData' | 'taints'> & {
  name: string;
  namespace: string;
};
const wish = (name: string, more: Omit<Wish, 'name' | 'namespace'> & { namespace?: string } = {}): Wish => ({ name, namespace: name, ...more });

/** What workers may say of themselves: input, surfaces, roles and needs, with those beside them who meet the needs or do not. */
const wishes: readonly Wish[] = [
  wish('chat', { surfaces: ['chat'] }),
  wish('completions', { surfaces: ['completions'] }),
  wish('both', { aliases: ['both-too', 'and/third'], userData: { x: [1] }, taints: ['slow'] }),
  wish('vectors', { surfaces: ['embedding'] }),
  wish('text-chat', { input: 'text', surfaces: ['chat'] }),
  wish('text-completions', { input: 'text', surfaces: ['completions'] }),
  wish('text-vectors', { input: 'text', surfaces: ['embedding'] }),
  wish('text-classify', { input: 'text', surfaces: ['classify', 'pooling'] }),
  wish('text-rerank', { input: 'text', surfaces: ['rerank'] }),
  wish('text-many', { input: 'text', surfaces: ['chat', 'embedding', 'rerank'] }),
  wish('decode-alone', { role: 'decode' }),
  wish('decode-waits', { role: 'decode', needs: [['prefill']] }),
  wish('pair', { role: 'decode', needs: [['prefill']] }),
  wish('pair', { role: 'prefill' }),
  wish('prefill-waits', { role: 'prefill' }),
  wish('encode-waits', { role: 'encode', needs: [['prefill', 'decode'], ['aggregated']] }),
  wish('eyes-wait', { needs: [['encode']] }),
  wish('eyes', { needs: [['encode']] }),
  wish('eyes', { role: 'encode', needs: [['aggregated']] }),
  wish('either', { role: 'decode', needs: [['prefill', 'encode'], ['encode']] }),
  wish('either', { role: 'encode', needs: [['decode']] }),
  wish('all-three', { role: 'decode', needs: [['prefill', 'encode']] }),
  wish('all-three', { role: 'prefill' }),
  wish('two-homes', { namespace: 'home-one' }),
  wish('two-homes', { namespace: 'home-two' }),
];

const routes: Readonly<Record<string, object>> = {
  '/v1/chat/completions': { messages: [{ role: 'user', content: 'x' }], max_tokens: 2 },
  '/v1/completions': { prompt: 'x', max_tokens: 2 },
  '/v1/embeddings': { input: 'x' },
  '/v1/classify': { input: 'x' },
  '/v1/pooling': { input: 'x' },
  '/v1/rerank': { query: 'x', documents: ['x'] },
};
const names = [...new Set(wishes.flatMap(({ name, aliases = [] }) => [name, ...aliases]))];

/** All that a frontend shows of the models: its list, who is ready, and what each route says of each. */
async function shown(url: string): Promise<Record<string, unknown>> {
  const list = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  const facts: Record<string, unknown> = { list: list.data.map(({ id }) => id).toSorted() };
  for (const name of names) {
    const ready = await fetch(`${url}/v1/models/${encodeURIComponent(name)}/ready`);
    facts[`${name} ready`] = [ready.status, ready.status === 200 ? await ready.json() : (await ready.text()).slice(0, 80)];
    for (const [route, body] of Object.entries(routes)) {
      const answer = await fetch(url + route, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: name, ...body }),
      });
      const text = await answer.text();
      // What these workers answer is not the point: that they were asked is.
      facts[`${name} ${route}`] = [404, 503].includes(answer.status) ? [answer.status, text] : 'served';
    }
  }
  return facts;
}

const capital = (word: string): string => word[0]?.toUpperCase() + word.slice(1);

describe.skipIf('missing' in found)('every kind of registration looks the same behind both frontends', () => {
  test.each(['ours', 'real'])('workers: %s', { timeout: 240_000 }, async (whose) => {
    await using here = new AsyncDisposableStack();
    const { env } = here.use(await scene());
    Object.assign(process.env, env);
    const endpointOf = ({ namespace, role = 'aggregated' }: Wish) => `${namespace}.${role}.generate` as const;
    if (whose === 'ours') {
      const llm = new Llm(here.use(await DistributedRuntime.connect()));
      for (const { namespace: _, ...one } of wishes)
        await llm.serve({
          ...one,
          endpoint: endpointOf({ ...one, namespace: _ }),
          model: tiny,
          engine: async function* () {
            yield { tokenIds: [104, 105], finishReason: 'stop' as const };
          },
        });
    } else {
      // The real binding takes no decode worker without needs.
      const asked = wishes
        .filter(({ name }) => name !== 'decode-alone')
        .map((one) => ({
          endpoint: endpointOf(one),
          model: tiny,
          name: one.name,
          input: capital(one.input ?? 'tokens'),
          types: one.role === 'prefill' ? ['Prefill'] : one.role === 'encode' ? [] : (one.surfaces ?? ['chat', 'completions']).map(capital),
          role: capital(one.role ?? 'aggregated'),
          needs: (one.needs ?? (one.role === 'prefill' ? [['decode']] : [])).map((all) => all.map(capital)),
          aliases: one.aliases,
          user_data: one.userData,
          taints: one.taints,
        }));
      const peer = here.use(startPeer(python, 'py_model.py', { args: [JSON.stringify(asked)], env }));
      await expect.poll(() => peer.lines, { timeout: 60_000 }).toContainEqual({ event: 'ready' });
    }
    const ours = here.use(await startOurFrontend({ port: await freePort(), env }));
    const real = here.use(await startFrontend(python, { port: await freePort(), env }));
    let last: Record<string, unknown> = {};
    await expect
      .poll(
        async () => {
          last = await shown(real.url);
          return last['list'];
        },
        { timeout: 60_000, interval: 1_000 },
      )
      .toEqual(expect.arrayContaining(['chat', 'both', 'two-homes', 'text-many', 'text-rerank', 'eyes', 'either', 'pair']));
    await expect.poll(async () => await shown(ours.url), { timeout: 60_000, interval: 1_000 }).toEqual(await shown(real.url));
  });
});
