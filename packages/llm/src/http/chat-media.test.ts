import { readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KvPublisher } from '@dynamo/kv-router';
import { Multimodal } from '@dynamo/multimodal';
import { DistributedRuntime } from '@dynamo/runtime';
import { mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { expect, test, vi } from 'vitest';
import { Llm } from '../llm.ts';
import { mediaMembers, mediaOf, messagesBesideMedia, routingTokens } from '../openai/media-parts.ts';
import { scriptedWorker, tinyModel } from '../testing/scripted-worker.ts';
import type { Engine } from '../worker/engine.ts';

const blockSize = 4;
const path = 'media.backend.generate';

/** The tiny model as one that takes images: the template writes `<image>`, and `<` stands for the image. */
async function modelWithImages(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'media-model-'));
  await cp(tinyModel, folder, { recursive: true });
  const config = JSON.parse(await readFile(join(tinyModel, 'config.json'), 'utf8')) as object;
  await rm(join(folder, 'config.json'), { force: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, image_token_id: '<'.charCodeAt(0) }));
  await writeFile(join(folder, 'preprocessor_config.json'), '{}');
  return { path: folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

const picture = (text: string): string => `data:image/png;base64,${Buffer.from(text).toString('base64')}`;

test('the same picture finds the worker that has seen it, and another picture with the same words does not count as seen', async () => {
  await using model = await modelWithImages();
  await using stack = new AsyncDisposableStack();
  const [store, hub] = [new MemStore(), new MemEvents()];
  const connect = async (): Promise<DistributedRuntime> =>
    stack.use(await DistributedRuntime.connect({ discovery: mem(store), eventPlane: memEvents(hub) }));
  const routed: unknown[] = [];
  for (let worker = 0; worker < 2; worker++) {
    const runtime = await connect();
    // An engine names its blocks by what is in them: pictures, not placeholders.
    const engine: Engine = async function* ({ tokenIds, extra }) {
      const { routing_token_ids: ids } = extra?.['mm_routing_info'] as { routing_token_ids: number[] };
      routed.push(ids.filter((id, at) => id !== tokenIds[at]));
      const hashes = Array.from({ length: Math.floor(ids.length / blockSize) }, (_, at) =>
        BigInt(ids.slice(0, (at + 1) * blockSize).reduce((sum, id) => (sum * 31 + id) % 1e9, 7)),
      );
      publisher.stored({ tokenIds: ids, hashes });
      yield { tokenIds: [104], finishReason: 'stop' };
    };
    await new Llm(runtime).serve({ endpoint: path, model: model.path, name: 'tiny', blockSize, engine });
    const publisher = stack.use(await KvPublisher.open(runtime, path, { blockSize }));
  }
  const frontend = stack.use(
    await new Llm(await connect()).frontend({ http: { host: '127.0.0.1', port: 0 }, router: { mode: 'kv', minWorkers: 2 }, drainMs: 100 }),
  );
  await vi.waitFor(() => expect(frontend.models).toEqual(['tiny']), 10_000);
  const ask = async (url: string): Promise<{ worker: string; hit: number }> => {
    const content = [
      { type: 'image_url', image_url: { url } },
      { type: 'text', text: 'what is to be seen in this picture?' },
    ];
    const nvext = { extra_fields: ['worker_id', 'timing'] };
    const { body, status } = await frontend.inject({
      method: 'POST',
      path: '/v1/chat/completions',
      body: { model: 'tiny', messages: [{ role: 'user', content }], nvext },
    });
    expect([status, body]).toEqual([200, body]);
    const told = JSON.parse(body.replaceAll(/:(\d{16,})/g, ':"$1"')).nvext;
    return { worker: told.worker_id.decode_worker_id, hit: told.timing.kv_hit_rate };
  };
  const first = await ask(picture('a cat'));
  await vi.waitFor(async () => expect(await ask(picture('a cat'))).toEqual({ worker: first.worker, hit: expect.closeTo(0.95, 1) }), 10_000);
  // The words before the picture are the same: no more than a block of them.
  expect((await ask(picture('a dog'))).hit).toBeLessThan(0.2);
  expect(routed[0]).toEqual([expect.any(Number)]);
  expect(routed.at(-1)).not.toEqual(routed[0]);
});

test('without a router that looks at prompts, or a picture, nothing is said about routing', async () => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const worker = await scriptedWorker(runtime, 'tiny');
  worker.script = [{ _text: 'hi' }, { token_ids: [], finish_reason: 'stop' }];
  await using frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 } });
  await vi.waitFor(() => expect(frontend.models).toEqual(['tiny']), 10_000);
  const ask = (url: string, more: object = {}): ReturnType<typeof frontend.inject> =>
    frontend.inject({
      method: 'POST',
      path: '/v1/chat/completions',
      body: { model: 'tiny', messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url }, ...more }] }] },
    });
  expect((await ask(picture('x'))).status).toBe(200);
  expect(worker.received[0]?.request).not.toHaveProperty('mm_routing_info');
  for (const url of ['http://localhost/x', 'https://10.0.0.1/x', 'http://[::1]:80/x', 'http://0x7f.1/x', 'https://metadata.google.internal/x']) {
    const { status, body } = await ask(url);
    expect([url, status, JSON.parse(body)]).toEqual([url, 400, { message: 'Invalid request', type: 'Bad Request', code: 400 }]);
  }
  expect((await ask('http://localhost/x', { uuid: 'known' })).status).toBe(200);
});

test('media go out in the order of the prompt, by kind, with names where one has one', () => {
  const messages = [
    { role: 'system', content: 'look' },
    {
      role: 'user',
      content: [
        { type: 'image_url', image_url: { url: 'https://a.example/1' }, uuid: 'one' },
        { type: 'video_url', video_url: { url: 'https://a.example/2' } },
        { type: 'text', text: 'and' },
        { type: 'image_url', image_url: { url: picture('x') } },
        { type: 'image_url', uuid: 'three' },
      ],
    },
  ];
  const request = { model: 'm', messages } as unknown as Parameters<typeof mediaOf>[0];
  expect(mediaMembers(mediaOf(request))).toEqual({
    multi_modal_data: {
      image_url: [{ Url: 'https://a.example/1' }, { Url: picture('x') }, { UuidOnly: 'three' }],
      video_url: [{ Url: 'https://a.example/2' }],
    },
    multi_modal_uuids: { image_url: ['one', null, 'three'] },
  });
  const [, user] = messagesBesideMedia(request) as [unknown, { content: { image_url?: { url: string } }[] }];
  expect(user.content.map((part) => part.image_url?.url)).toEqual(['https://a.example/1', undefined, undefined, '', undefined]);
});

test('placeholders become the pads of their images, one by one or run by run', () => {
  expect(routingTokens([1, 9, 2, 9, 9], 9, [101, 102, 103])).toEqual([1, 101, 2, 102, 103]);
  expect(routingTokens([9, 9, 1, 9], 9, [101, 102])).toEqual([101, 101, 1, 102]);
  expect(routingTokens([9, 1, 9], 9, [101])).toBeUndefined();
  expect(routingTokens([1, 2], 9, [101])).toBeUndefined();
});

test("a worker that asks for pixels gets those of the picture, and a picture that is none is the client's fault", async () => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await using multimodal = new Multimodal();
  const seen: unknown[] = [];
  const engine: Engine = async function* ({ extra }) {
    const data = extra?.['multi_modal_data'] as { image_url: { Decoded: Record<string, unknown> }[] };
    for (const { Decoded: decoded } of data.image_url) {
      const media = await multimodal.load({ kind: 'image', decoded });
      seen.push([media.shape, [...media.bytes], decoded['content_hash'], multimodal.hash(media).toString(16)]);
      left = decoded;
    }
    yield { tokenIds: [104], finishReason: 'stop' };
  };
  let left: unknown;
  await new Llm(runtime).serve({ endpoint: path, model: tinyModel, name: 'tiny', engine, media: { decode: { maxWidth: 100 } } });
  await using frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 } });
  await vi.waitFor(() => expect(frontend.models).toEqual(['tiny']), 10_000);
  const ask = async (...urls: string[]): Promise<unknown[]> => {
    const content = urls.map((url) => ({ type: 'image_url', image_url: { url } }));
    const { status, body } = await frontend.inject({
      method: 'POST',
      path: '/v1/chat/completions',
      body: { model: 'tiny', messages: [{ role: 'user', content }] },
    });
    return [status, status === 200 ? undefined : JSON.parse(body)];
  };
  const vectors = JSON.parse(readFileSync(new URL('../../../../vectors/multimodal/frontend_to_worker.json', import.meta.url), 'utf8'));
  const { url } = vectors.request_body.messages[0].content[1].image_url;
  expect(await ask(url, url)).toEqual([200, undefined]);
  const pixels = Array.from({ length: 18 }, (_, at) => at);
  const one = [[2, 3, 3], pixels, '9907de251781f39e', '9907de251781f39e'];
  expect(seen).toEqual([one, one]);
  const theirs = vectors.worker_request_decoded.multi_modal_data.image_url[0].Decoded;
  expect(Object.keys(left as object)).toEqual(Object.keys(theirs));
  expect(left).toMatchObject({ shape: theirs.shape, dtype: theirs.dtype, metadata: theirs.metadata, content_hash: theirs.content_hash });
  // Answered: the memory is the frontend's own again.
  await expect(multimodal.load({ kind: 'image', decoded: left })).rejects.toMatchObject({ code: 'not_found' });
  for (const [bad, message] of Object.entries(vectors.http_errors_with_decoder as Record<string, string>)) {
    if (bad.includes('x.invalid')) continue;
    expect([bad, ...(await ask(bad))]).toEqual([bad, 400, { message, type: 'Bad Request', code: 400 }]);
  }
});
