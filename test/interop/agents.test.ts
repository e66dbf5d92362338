import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { type Frontend, type TokenRequest } from '@dynamo/llm';
import { ChatOpenAI } from '@langchain/openai';
import { isStepCount, jsonSchema, Output, streamObject, streamText, tool as aiTool } from 'ai';
import { AIMessageChunk, createAgent, tool as chainTool } from 'langchain';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { weather, weatherOf } from './clients/client.ts';
import { findPython } from './python.ts';
import { bothFrontends } from './both-frontends.ts';
import { ids } from './tiny-model.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

const recipe = { name: 'Rösti', steps: ['grate', 'fry'] };
const schemas: unknown[] = [];

/** Thinks; writes a recipe where its output has to be JSON, asks for the weather of two cities one after the other, and tells what it heard. */
async function* engine({ tokenIds, sampling }: TokenRequest) {
  const prompt = Buffer.from(tokenIds.filter((id) => id < 256)).toString();
  const { json } = (sampling?.guidedDecoding ?? {}) as { json?: unknown };
  const heard = [...prompt.matchAll(/rain in (\w+)/g)].map(([, city]) => city);
  const city = ['Bern', 'Basel'][heard.length];
  if (json !== undefined) schemas.push(json);
  yield { tokenIds: ids('<think>well</think>') };
  const call = `<tool_call>${JSON.stringify({ name: 'weather', arguments: { city } })}</tool_call>`;
  const text =
    json !== undefined || prompt.includes('recipe')
      ? JSON.stringify(recipe)
      : city === undefined
        ? `Rain in ${heard.join(' and ')}.`
        : `Looking. ${call}`;
  for (const id of ids(text)) yield { tokenIds: [id] };
  if (prompt.includes('fail midway')) throw new Error('a secret of the engine');
  yield { tokenIds: [], finishReason: 'stop' as const };
}

describe.skipIf('missing' in found)('agents and objects, our frontend beside the real one, on a worker of ours', () => {
  const stack = new AsyncDisposableStack();
  let ours: Frontend;
  let real = '';

  beforeAll(async () => {
    const both = stack.use(await bothFrontends(python, engine));
    ours = both.ours;
    real = both.real;
  });
  afterAll(() => stack.disposeAsync());

  describe.each(['ours', 'real'] as const)('%s', (which) => {
    const base = (): string => `${which === 'ours' ? ours.address : real}/v1`;
    const aiModel = () => createOpenAICompatible({ name: 'dynamo', baseURL: base(), apiKey: 'none', supportsStructuredOutputs: true })('tiny');

    test('the AI SDK streams a loop of two calls, with thoughts, calls and results in order', async () => {
      const asked: unknown[] = [];
      const result = streamText({
        model: aiModel(),
        prompt: 'how is the weather?',
        maxRetries: 0,
        stopWhen: isStepCount(5),
        tools: {
          weather: aiTool({
            description: weather.description,
            inputSchema: jsonSchema<{ city: string }>(weather.parameters as never),
            execute: async (args) => {
              asked.push(args);
              return weatherOf(args);
            },
          }),
        },
      });
      const kinds: string[] = [];
      for await (const { type } of result.fullStream) if (kinds.at(-1) !== type) kinds.push(type);
      const step = (...inside: string[]): string[] => [
        'start-step',
        'reasoning-start',
        'reasoning-delta',
        'reasoning-end',
        'text-start',
        'text-delta',
        ...inside,
      ];
      const kept = kinds.filter((kind) => /^(start-step|reasoning-|text-(start|delta)|tool-(call|result)|finish)/.test(kind));
      expect(new Set(kept)).toEqual(new Set([...step('tool-call', 'tool-result', 'finish-step'), 'finish']));
      expect(kept.filter((kind) => kind === 'tool-call' || kind === 'tool-result')).toEqual(['tool-call', 'tool-result', 'tool-call', 'tool-result']);
      expect(asked).toEqual([{ city: 'Bern' }, { city: 'Basel' }]);
      expect([await result.text, (await result.steps).map(({ finishReason, reasoningText }) => [finishReason, reasoningText])]).toEqual([
        'Rain in Bern and Basel.',
        [
          ['tool-calls', 'well'],
          ['tool-calls', 'well'],
          ['stop', 'well'],
        ],
      ]);
    });

    test('the AI SDK streams an object, whose schema constrains the worker', async () => {
      const schema = z.object({ name: z.string(), steps: z.array(z.string()) });
      schemas.length = 0;
      const older = streamObject({ model: aiModel(), schema, prompt: 'a recipe, please', maxRetries: 0 });
      const partial: unknown[] = [];
      for await (const object of older.partialObjectStream) partial.push(object);
      expect([await older.object, partial.at(-1), partial.length > 3]).toEqual([recipe, recipe, true]);
      const newer = streamText({ model: aiModel(), output: Output.object({ schema }), prompt: 'a recipe, please', maxRetries: 0 });
      let last: unknown;
      for await (const object of newer.partialOutputStream) last = object;
      expect([await newer.output, last]).toEqual([recipe, recipe]);
      expect(schemas).toMatchObject([
        { type: 'object', required: ['name', 'steps'] },
        { type: 'object', required: ['name', 'steps'] },
      ]);
    });

    test('a stream that fails midway is an error there, and what came before it is kept', async () => {
      const result = streamText({ model: aiModel(), prompt: 'a recipe; fail midway', maxRetries: 0, onError: () => undefined });
      let text = '';
      const errors: string[] = [];
      for await (const part of result.fullStream) {
        if (part.type === 'text-delta') text += part.text;
        if (part.type === 'error') errors.push(JSON.stringify(part.error) + String(part.error));
      }
      expect([text, errors.length]).toEqual([JSON.stringify(recipe), 1]);
      expect(errors[0]).not.toContain('secret');
    });

    test('an agent of LangChain works through two calls, whole and streamed', async () => {
      const asked: unknown[] = [];
      const model = new ChatOpenAI({ model: 'tiny', apiKey: 'none', maxRetries: 0, configuration: { baseURL: base() } });
      const look = chainTool(
        (args: { city: string }) => {
          asked.push(args);
          return weatherOf(args);
        },
        { name: weather.name, description: weather.description, schema: z.object({ city: z.string() }) },
      );
      const agent = createAgent({ model, tools: [look] });
      const input = { messages: [{ role: 'user' as const, content: 'how is the weather?' }] };
      const { messages } = await agent.invoke(input);
      expect(messages.map((message) => message.getType())).toEqual(['human', 'ai', 'tool', 'ai', 'tool', 'ai']);
      expect([messages.at(-1)?.text, asked]).toEqual(['Rain in Bern and Basel.', [{ city: 'Bern' }, { city: 'Basel' }]]);
      let text = '';
      let pieces = 0;
      for await (const [chunk] of await agent.stream(input, { streamMode: 'messages' })) {
        if (!AIMessageChunk.isInstance(chunk)) continue;
        text += chunk.text;
        pieces++;
      }
      expect([text, pieces > 20]).toEqual(['Looking. Looking. Rain in Bern and Basel.', true]);
    });

    test('an agent of LangChain gives an answer of a form', async () => {
      const model = new ChatOpenAI({ model: 'tiny', apiKey: 'none', maxRetries: 0, configuration: { baseURL: base() } });
      const schema = z.object({ name: z.string(), steps: z.array(z.string()) });
      expect(await model.withStructuredOutput(schema, { method: 'jsonSchema', name: 'recipe' }).invoke('a recipe, please')).toEqual(recipe);
    });
  });
});
