import { fileURLToPath } from 'node:url';
import type { Engine, StopConditions, TokenChunk } from '@dynamo/llm';
import { cardFromDirectory, modelFileStore } from '@dynamo/llm/internal';
import { Context } from '@dynamo/runtime/internal';
import { beforeAll, describe, expect, test } from 'vitest';
import { echo } from './echo.ts';
import { engines } from './index.ts';
import { engineNames } from './names.ts';

const modelPath = fileURLToPath(new URL('../../model', import.meta.url));
let files: Awaited<ReturnType<ReturnType<typeof modelFileStore>['load']>>;
let engine: Engine;
beforeAll(async () => {
  files = await modelFileStore().load(await cardFromDirectory(modelPath));
  engine = await echo({ modelPath, delayMs: 0 });
});

/** Ids of a chat with one turn, as a frontend sends them. */
const chat = (content: string): number[] =>
  files.tokenizer.encode(files.template?.render({ messages: [{ role: 'user', content }], add_generation_prompt: true }) ?? '');

async function answer(tokenIds: readonly number[], options: { stop?: StopConditions; signal?: AbortSignal } = {}): Promise<TokenChunk[]> {
  const chunks: TokenChunk[] = [];
  const request = { model: 'echo', tokenIds, ...(options.stop === undefined ? {} : { stop: options.stop }) };
  using context = Context.from({ id: '1', metadata: {}, signal: options.signal ?? new AbortController().signal });
  for await (const chunk of engine(request, context)) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks: readonly TokenChunk[]): string =>
  files.tokenizer.decode(
    chunks.flatMap(({ tokenIds }) => [...tokenIds]),
    { skipSpecialTokens: true },
  );

test('every name has its engine', () => {
  expect([...Object.keys(engines), 'openai']).toEqual([...engineNames]);
});

describe('echo', () => {
  test("gives the user's text back, one token a chunk", async () => {
    const chunks = await answer(chat('Hello there! é 日本'));
    expect(textOf(chunks)).toBe('Hello there! é 日本');
    expect(chunks.every(({ tokenIds }) => tokenIds.length === 1)).toBe(true);
    expect(chunks.map(({ finishReason }) => finishReason)).toEqual([...Array.from({ length: chunks.length - 1 }, () => undefined), 'stop']);
  });

  test('gives a plain prompt back whole', async () => {
    expect(textOf(await answer(files.tokenizer.encode('Once upon a time')))).toBe('Once upon a time');
  });

  test('an empty text ends at once', async () => {
    expect(await answer(chat(''))).toEqual([{ tokenIds: [], finishReason: 'stop' }]);
  });

  test('keeps to max_tokens, and says so', async () => {
    const chunks = await answer(chat('one two three four five'), { stop: { maxTokens: 2 } });
    expect(chunks).toHaveLength(2);
    expect(chunks.at(-1)?.finishReason).toBe('length');
  });

  test('min_tokens and ignore_eos repeat the text', async () => {
    const once = (await answer(chat('la la'))).length;
    expect(await answer(chat('la la'), { stop: { minTokens: once + 1 } })).toHaveLength(once + 1);
    const more = await answer(chat('la la'), { stop: { maxTokens: 3 * once, ignoreEos: true } });
    expect(textOf(more)).toBe('la lala lala la');
    expect(more.at(-1)?.finishReason).toBe('length');
  });

  test('stops when the caller has left', async () => {
    const leaving = new AbortController();
    leaving.abort();
    expect(await answer(chat('Hello'), { signal: leaving.signal })).toEqual([{ tokenIds: [], finishReason: 'cancelled' }]);
  });
});
