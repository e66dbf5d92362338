import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine, StopConditions } from '@dynamo/llm';
import { cardFromDirectory, modelFileStore } from '@dynamo/llm/internal';
import type { EngineOptions } from './index.ts';
import { userTextOf } from './user-text.ts';

/** An engine that gives the text of the user back, one token a chunk. */
export const echo = async ({ modelPath, chatTemplate, delayMs }: EngineOptions): Promise<Engine> => {
  const { tokenizer, template } = await modelFileStore().load(await cardFromDirectory(modelPath, chatTemplate === undefined ? {} : { chatTemplate }));
  const userText = userTextOf(template);
  return async function* (request, { signal }) {
    const prompt = tokenizer.decode(request.tokenIds, { skipSpecialTokens: false });
    const text = userText(prompt);
    const tokenIds = text === prompt ? request.tokenIds : tokenizer.encode(text);
    const { count, finishReason } = lengthOf(tokenIds.length, request.stop);
    if (count === 0) yield { tokenIds: [], finishReason };
    for (let index = 0; index < count; index++) {
      if (delayMs > 0) await sleep(delayMs);
      if (signal.aborted) return yield { tokenIds: [], finishReason: 'cancelled' as const };
      const chunk = { tokenIds: tokenIds.slice(index % tokenIds.length, (index % tokenIds.length) + 1) };
      yield index === count - 1 ? { ...chunk, finishReason } : chunk;
    }
  };
};

/** How many tokens to give: the text once, or again and again where the request wants more of it. */
function lengthOf(once: number, stop: StopConditions = {}): { count: number; finishReason: 'stop' | 'length' } {
  const { maxTokens = Infinity, minTokens = 0, ignoreEos = false } = stop;
  const wanted = once === 0 ? 0 : Math.max(once, minTokens, ignoreEos && maxTokens !== Infinity ? maxTokens : 0);
  return wanted > maxTokens ? { count: maxTokens, finishReason: 'length' } : { count: wanted, finishReason: ignoreEos ? 'length' : 'stop' };
}
