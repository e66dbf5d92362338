import type { ChatChunk, CompletionChunk, Frontend } from '@dynamo/llm';
import { DynamoError } from '@dynamo/runtime';

/** One piece of an answer. */
export interface Piece {
  readonly text: string;
  /** What the model thinks before it answers. */
  readonly thought: string;
  readonly finish: string | undefined;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number } | undefined;
}

/** Asks a model with a request in OpenAI's form: a chat where it has `messages`, else a completion. */
export async function* ask(frontend: Frontend, request: Readonly<Record<string, unknown>>, signal: AbortSignal): AsyncGenerator<Piece> {
  const asked = { ...request, stream_options: { include_usage: true } } as never;
  const chunks: AsyncIterable<ChatChunk | CompletionChunk> =
    'messages' in request ? frontend.chat(asked, { signal }) : frontend.complete(asked, { signal });
  for await (const { choices, usage } of chunks) {
    const [choice] = choices;
    const delta = choice !== undefined && 'delta' in choice ? choice.delta : undefined;
    const text = choice !== undefined && 'text' in choice ? choice.text : (delta?.content ?? '');
    yield { text, thought: delta?.reasoning_content ?? '', finish: choice?.finish_reason ?? undefined, usage: usage ?? undefined };
  }
}

/** Asks with what a person has said: as a chat, or as a plain completion where the model has no chat. */
export async function* say(
  frontend: Frontend,
  { messages, ...request }: { model: string; messages: readonly { role: string; content: string }[]; max_tokens?: number },
  signal: AbortSignal,
): AsyncGenerator<Piece> {
  try {
    yield* ask(frontend, { ...request, messages }, signal);
  } catch (error) {
    if (!DynamoError.is(error, 'not_found')) throw error;
    yield* ask(frontend, { ...request, prompt: messages.at(-1)?.content ?? '' }, signal);
  }
}
