import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TokenChunk, TokenRequest } from '@dynamo/llm';
import {
  cardFromDirectory,
  forcedSequenceProcessor,
  ggufFolder,
  type LlamaEngine,
  modelFileStore,
  type ModelFiles,
  openLlama,
} from '@dynamo/llm/internal';
import { Context } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { realModel } from './real-model.ts';

const log = { error: vi.fn(), warn: vi.fn(), info: vi.fn(), debug: vi.fn(), trace: vi.fn() };

describe.each(realModel === undefined ? [] : [realModel])('a real model in this process', ({ gguf, folder }) => {
  const stack = new AsyncDisposableStack();
  let llama: LlamaEngine;
  let files: ModelFiles;
  /** Hashes that routers would know now. */
  const known = new Set<bigint>();
  const loads: number[] = [];
  let forced: readonly number[] = [];

  beforeAll(async () => {
    vi.stubEnv('DYN_LLAMA_FOLDER', folder);
    const cache = await mkdtemp(join(tmpdir(), 'dynamo-llama-'));
    stack.defer(() => rm(cache, { recursive: true }));
    const store = stack.use(modelFileStore());
    files = await store.load(await cardFromDirectory(await ggufFolder(gguf, { XDG_CACHE_HOME: cache })));
    const logitsProcessors = ({ model }: TokenRequest) => (model === 'forced' ? [forcedSequenceProcessor(forced, files.eosTokenIds[0])] : []);
    llama = stack.use(await openLlama({ path: gguf, sequences: 2, contextLength: 256, threads: 1, logitsProcessors, log: log as never }));
    llama.tell({
      stored: ({ hashes, parent }) => {
        if (parent !== undefined) expect(known).toContain(parent);
        for (const hash of hashes) known.add(hash);
      },
      removed: (hashes) => hashes.forEach((hash) => expect(known.delete(hash)).toBe(true)),
      load: ({ kvUsedBlocks = 0 }) => void loads.push(kvUsedBlocks),
    });
  });
  afterAll(() => stack.disposeAsync());

  const prompt = (text: string): readonly number[] =>
    files.tokenizer.encode(
      files.template?.render({
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: text },
        ],
        add_generation_prompt: true,
      }) ?? '',
    );

  async function ask(
    request: Partial<TokenRequest> & { tokenIds: readonly number[] },
    signal: AbortSignal = new AbortController().signal,
  ): Promise<{ text: string; chunks: TokenChunk[]; cached: number }> {
    using context = Context.from({ id: '1', metadata: {}, signal });
    const chunks: TokenChunk[] = [];
    for await (const chunk of llama.engine({ model: 'm', sampling: { temperature: 0 }, stop: { maxTokens: 12 }, ...request }, context))
      chunks.push(chunk);
    const ids = chunks.flatMap(({ tokenIds }) => tokenIds);
    const details = chunks.at(-1)?.usage?.promptTokensDetails as { cached_tokens: number } | undefined;
    return { text: files.tokenizer.decode(ids, { skipSpecialTokens: true }), chunks, cached: details?.cached_tokens ?? -1 };
  }

  test('answers sensibly, ends by itself, and finds all but the last token of a prompt again', async () => {
    const tokenIds = prompt('What is 2 + 2?');
    const first = await ask({ tokenIds, stop: { maxTokens: 40 } });
    expect(first.text).toContain('4');
    expect(first.chunks.at(-1)?.finishReason).toBe('stop');
    const again = await ask({ tokenIds, stop: { maxTokens: 40 } });
    expect(again).toMatchObject({ text: first.text, cached: tokenIds.length - 1 });
    expect(known.size).toBe(Math.floor((tokenIds.length + again.chunks.length - 1) / 16));
    expect(loads.at(-1)).toBe(0);
    expect(Math.max(...loads)).toBeGreaterThan(0);
  });

  test('two in one batch are answered as each alone', async () => {
    const questions = ['Name three colours.', 'Say something about the sea, please.'].map(prompt);
    const alone = [];
    for (const tokenIds of questions) alone.push((await ask({ tokenIds })).text);
    const together = await Promise.all(questions.map((tokenIds) => ask({ tokenIds })));
    expect(together.map(({ text }) => text)).toEqual(alone);
  });

  test('a seed gives the same text again; n gives several', async () => {
    const tokenIds = prompt('Tell me a story.');
    const sampling = { temperature: 1, topP: 0.95, seed: 5 };
    const first = await ask({ tokenIds, sampling });
    expect((await ask({ tokenIds, sampling })).text).toBe(first.text);
    const { chunks } = await ask({ tokenIds, sampling: { ...sampling, n: 2 }, stop: { maxTokens: 4 } });
    expect(chunks.map(({ index = 0 }) => index)).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  });

  test('tells log probabilities of what it says and of what else it could have said', async () => {
    const { chunks } = await ask({ tokenIds: files.tokenizer.encode('The capital of France is'), output: { logprobs: 3 } });
    const [{ logprobs: [chosen = 1] = [], topLogprobs: [tops = []] = [] } = {} as TokenChunk] = chunks;
    expect(tops.map(({ rank }) => rank)).toEqual([1, 2, 3]);
    expect(tops[0]).toMatchObject({ token: ' Paris', logprob: chosen });
    expect(tops.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeLessThanOrEqual(1);
    expect(chosen).toBeGreaterThan(tops[1]?.logprob ?? 0);
  });

  test('a logits processor has it say what it wants', async () => {
    forced = files.tokenizer.encode('Hello world!');
    const { text, chunks } = await ask({ model: 'forced', tokenIds: prompt('What is 2 + 2?') });
    expect(text).toBe('Hello world!');
    expect(chunks.at(-1)?.finishReason).toBe('stop');
  });

  test('who leaves frees the sequence at once, and what was read stays cached', async () => {
    const tokenIds = prompt('Tell me a very long story about a dragon and a princess.');
    for (let round = 0; round < 3; round++) {
      const leaving = new AbortController();
      using context = Context.from({ id: '1', metadata: {}, signal: leaving.signal });
      const seen: TokenChunk[] = [];
      for await (const chunk of llama.engine({ model: 'm', tokenIds, stop: { maxTokens: 400, ignoreEos: true } }, context)) {
        seen.push(chunk);
        if (seen.length === 3) leaving.abort();
      }
      expect(seen.at(-1)).toEqual({ tokenIds: [], finishReason: 'cancelled' });
    }
    expect((await ask({ tokenIds })).cached).toBe(tokenIds.length - 1);
    expect(loads.at(-1)).toBe(0);
  });

  test('a prompt beyond the context, and what is not offered, are refused', async () => {
    await expect(ask({ tokenIds: Array.from({ length: 256 }, () => 5) })).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(ask({ tokenIds: [5], sampling: { guidedDecoding: { regex: 'a' } } })).rejects.toMatchObject({ code: 'not_implemented' });
    const full = await ask({ tokenIds: prompt('word '.repeat(400)).slice(0, 250), stop: { ignoreEos: true } });
    expect(full.chunks).toHaveLength(256 - 250);
    expect(full.chunks.at(-1)?.finishReason).toBe('length');
  });

  test('a model that is too large for the memory is refused before it is loaded', async () => {
    await expect(openLlama({ path: gguf, log: log as never, world: { availableBytes: 200e6 } })).rejects.toMatchObject({
      code: 'resource_exhausted',
      message: expect.stringMatching(/needs \d+ MB .* 200 MB are free/),
    });
  });
});
