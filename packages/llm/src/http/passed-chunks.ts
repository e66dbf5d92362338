import type { AnswerChunk, CallDelta } from '../stages/parse-answer.ts';
import type { PassedChunk } from './passed-answer.ts';

type Members = Readonly<Record<string, unknown>>;

/** Reads the OpenAI chunks of a text-input worker as chunks of the one pipeline, for doors that write answers of another shape. */
export async function* answerChunks(batches: AsyncIterable<readonly PassedChunk[]>): AsyncGenerator<readonly AnswerChunk[]> {
  for await (const batch of batches) yield batch.flatMap(({ value }) => chunksOf(value));
}

function chunksOf(value: Members): AnswerChunk[] {
  const usage = usageOf(value['usage']);
  const chunks = (value['choices'] as readonly Members[]).map(chunkOf);
  const last = chunks.at(-1);
  if (usage === undefined) return chunks;
  if (last === undefined) return [{ tokenIds: [], text: '', usage }];
  last.usage = usage;
  return chunks;
}

function chunkOf(choice: Members): AnswerChunk {
  const delta = (choice['delta'] ?? {}) as Members;
  const content = delta['content'];
  const thought = delta['reasoning_content'];
  const calls = Array.isArray(delta['tool_calls']) ? (delta['tool_calls'] as readonly Members[]).map(callOf) : [];
  const finish = choice['finish_reason'];
  const index = Number(choice['index'] ?? 0);
  return {
    tokenIds: [],
    text: typeof content === 'string' ? content : '',
    ...(index === 0 ? {} : { index }),
    ...(typeof thought === 'string' && thought !== '' ? { reasoning: thought } : {}),
    ...(calls.length === 0 ? {} : { calls }),
    ...(finish === 'length' || finish === 'content_filter' ? { finishReason: finish } : {}),
    ...(finish === 'stop' || finish === 'tool_calls' || finish === 'function_call' ? { finishReason: 'stop' as const } : {}),
    ...(finish === 'tool_calls' ? { called: true } : {}),
  };
}

function callOf(call: Members, at: number): CallDelta {
  const made = (call['function'] ?? {}) as Members;
  const { name, arguments: text } = made;
  return {
    index: typeof call['index'] === 'number' ? call['index'] : at,
    ...(typeof call['id'] === 'string' ? { id: call['id'] } : {}),
    ...(typeof name === 'string' ? { name } : {}),
    arguments: typeof text === 'string' ? text : '',
  };
}

function usageOf(usage: unknown): AnswerChunk['usage'] {
  if (typeof usage !== 'object' || usage === null) return undefined;
  const { prompt_tokens: prompt, completion_tokens: completion, prompt_tokens_details: details } = usage as Members;
  const [promptTokens, completionTokens] = [Number(prompt ?? 0), Number(completion ?? 0)];
  const totalTokens = promptTokens + completionTokens;
  const counts = { promptTokens, completionTokens, totalTokens };
  return details === undefined || details === null ? counts : { ...counts, promptTokensDetails: details as Record<string, unknown> };
}
