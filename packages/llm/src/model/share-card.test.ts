import { createServer } from 'node:http';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterEach, expect, test, vi } from 'vitest';
import { modelFileStore } from '../frontend/model-files.ts';
import { Llm } from '../llm.ts';
import { ModelDeploymentCard } from './deployment-card.ts';
import { shareCard } from './share-card.ts';
import type { CardFile, WireCard } from './wire-card.ts';

const tiny = fileURLToPath(new URL('../../../../vectors/llm/model-tiny', import.meta.url));
const system = { port: 0, host: '127.0.0.1' };
const endpoint = { namespace: 'n', component: 'c', endpoint: 'generate' };
async function* engine() {
  yield { tokenIds: [104, 105], finishReason: 'stop' as const };
}

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

const files = ({ model_info: info, tokenizer, prompt_formatter: prompt, gen_config: generation }: WireCard): (CardFile | undefined)[] => [
  info?.hf_config_json,
  tokenizer?.hf_tokenizer_json,
  prompt?.hf_tokenizer_config_json,
  generation?.hf_generation_config_json,
];

test('with a status server a card has URLs, and a frontend answers from them until the model is withdrawn', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dynamo-model-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await cp(tiny, folder, { recursive: true });
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: 'mem', system }));
  const llm = new Llm(runtime);
  const served = await llm.serve({ endpoint: 'n.c.generate', model: folder, name: 'Tiny/1', engine });
  const [published] = await ModelDeploymentCard.list(runtime, { namespace: 'n' });
  const paths = files(published?.card.wire as WireCard).map((file) => file?.path);
  expect(paths[0]).toBe(`${runtime.statusUrl}/v1/metadata/n/c/generate/tiny_1/_base/config.json`);
  expect(paths.every((path) => path?.startsWith(`${runtime.statusUrl}/v1/metadata/`))).toBe(true);
  // The checksum of the card does not look at places.
  expect(await published?.card.mdcsum()).toBe(await (await ModelDeploymentCard.fromDirectory(folder, { name: 'Tiny/1' })).mdcsum());
  const frontend = stack.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0 } }));
  await vi.waitFor(() => expect(frontend.models).toEqual(['Tiny/1']), 10_000);
  const answer = await fetch(`${frontend.address}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'Tiny/1', prompt: 'x' }),
  });
  expect(await answer.json()).toMatchObject({ choices: [{ text: 'hi' }] });
  await served[Symbol.asyncDispose]();
  expect((await fetch(paths[0] ?? '')).status).toBe(404);
});

test('without a status server, or told so, paths stay paths; two files of one name are not mixed up', async () => {
  const quiet = stack.use(await DistributedRuntime.connect({ discovery: 'mem' }));
  const { wire } = await ModelDeploymentCard.fromDirectory(tiny, { name: 'x' });
  expect(shareCard(quiet, endpoint, wire, {}).card).toEqual(wire);
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: 'mem', system }));
  expect(shareCard(runtime, endpoint, wire, { DYN_SELF_HOST_METADATA: 'false' }).card).toEqual(wire);
  const twice = { ...wire, extra_files: [{ ...(files(wire)[0] as CardFile), path: '/elsewhere/config.json' }] };
  using shared = shareCard(runtime, endpoint, twice, {});
  expect(shared.card.extra_files).toEqual(twice.extra_files);
  expect(shared.card.model_info?.hf_config_json.path).toMatch(/^http:/);
});

test('a worker that sends more than its card says, other bytes, an error or a way elsewhere is not believed', async () => {
  const { wire } = await ModelDeploymentCard.fromDirectory(tiny, { name: 'x' });
  const size = wire.model_info?.hf_config_json.size ?? 0;
  const server = createServer((request, response) => {
    if (request.url === '/more') response.end(Buffer.alloc(size + 1));
    else if (request.url === '/other') response.end(Buffer.alloc(size));
    else if (request.url === '/elsewhere') response.writeHead(302, { location: '/other' }).end();
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stack.defer(() => new Promise((resolve) => server.close(() => resolve())));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = stack.use(modelFileStore());
  const load = (path: string): Promise<unknown> => {
    const { prompt_formatter: prompt } = wire;
    const file = { ...(prompt?.hf_tokenizer_config_json as CardFile), path: url + path, size };
    return store.load({ ...wire, prompt_formatter: { hf_tokenizer_config_json: file } });
  };
  await expect(load('/more')).rejects.toMatchObject({ code: 'payload_too_large' });
  await expect(load('/other')).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('expected blake3') });
  await expect(load('/none')).rejects.toMatchObject({ code: 'not_found' });
  await expect(load('/elsewhere')).rejects.toThrow('fetch failed');
});

test('files of the hub are fetched by the name of their model, and looked for in the model folder first', async () => {
  const { wire } = await ModelDeploymentCard.fromDirectory(tiny, { name: 'x' });
  const hosted = JSON.parse(JSON.stringify(wire).replaceAll(`${tiny}/`, 'hf://org/tiny/')) as WireCard;
  const asked: string[] = [];
  const fetchTiny = async (model: string): Promise<string> => {
    asked.push(model);
    return tiny;
  };
  const loaded = await stack.use(modelFileStore({ fetch: fetchTiny })).load(hosted);
  expect([loaded.encode('é'), new Set(asked)]).toEqual([[0xc3, 0xa9], new Set(['org/tiny'])]);
  asked.length = 0;
  await stack.use(modelFileStore({ fetch: fetchTiny, modelPath: tiny })).load(hosted);
  expect(asked).toEqual([]);
});
