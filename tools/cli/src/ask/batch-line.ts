import type { Frontend } from '@dynamo/llm';
import { DynamoError } from '@dynamo/runtime';
import { ask } from './asking.ts';

/** The answer to one line of a batch. */
export interface BatchAnswer {
  /** The line to write. */
  readonly line: string;
  readonly failed: boolean;
  readonly tokensIn: number;
  readonly tokensOut: number;
}

type Entry = Readonly<Record<string, unknown>>;

/** What a line leaves open. */
interface Defaults {
  readonly model: string;
  readonly maxTokens?: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Answers one line; never throws. A line is one of three:
 *
 * - `{"text": …}`, as the real system's batches were: the same line with `response`, `tokens_in`, `tokens_out`, `elapsed_ms`,
 *   `ttft_ms` and `finish_reason`;
 * - a request in OpenAI's form, with `messages` or `prompt`: likewise;
 * - an entry of OpenAI's batches, with `custom_id`, `url` and `body`: an entry of their output, and `elapsed_ms`.
 *
 * What fails has `error` in place of a response.
 */
export async function answerLine(frontend: Frontend, line: string, defaults: Defaults): Promise<BatchAnswer> {
  const entry = read(line);
  if (entry === undefined) return failure({ input: line }, new DynamoError('invalid_argument', 'the line is no JSON object'));
  if (typeof entry['url'] === 'string') return answerEntry(frontend, entry, defaults);
  const request = requestOf(entry, defaults);
  if (request === undefined)
    return failure(entry, new DynamoError('invalid_argument', "the line has neither 'text', 'messages', 'prompt' nor 'url'"));
  return answerRequest(frontend, { entry, request }, defaults.signal);
}

function read(line: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Entry) : undefined;
  } catch {
    return undefined;
  }
}

const filled = (body: Entry, { model, maxTokens }: Defaults): Entry => ({
  model,
  ...(maxTokens === undefined || 'max_completion_tokens' in body || !('messages' in body || 'prompt' in body) ? {} : { max_tokens: maxTokens }),
  ...body,
});

function requestOf(entry: Entry, defaults: Defaults): Entry | undefined {
  if (typeof entry['text'] === 'string') return filled({ messages: [{ role: 'user', content: entry['text'] }] }, defaults);
  return 'messages' in entry || 'prompt' in entry ? filled(entry, defaults) : undefined;
}

async function answerRequest(frontend: Frontend, { entry, request }: { entry: Entry; request: Entry }, signal: AbortSignal): Promise<BatchAnswer> {
  const began = performance.now();
  const since = (): number => Math.round(performance.now() - began);
  let response = '';
  let thoughts = '';
  let [tokensIn, tokensOut] = [0, 0];
  let first: number | undefined;
  let finish: string | undefined;
  try {
    for await (const piece of ask(frontend, request, signal)) {
      if (piece.text !== '' || piece.thought !== '') first ??= since();
      response += piece.text;
      thoughts += piece.thought;
      finish = piece.finish ?? finish;
      if (piece.usage !== undefined) [tokensIn, tokensOut] = [piece.usage.prompt_tokens, piece.usage.completion_tokens];
    }
  } catch (error) {
    return failure(entry, error);
  }
  const told = {
    ...entry,
    response,
    ...(thoughts === '' ? {} : { reasoning: thoughts }),
    tokens_in: tokensIn,
    tokens_out: tokensOut,
    elapsed_ms: since(),
    ttft_ms: first ?? null,
    finish_reason: finish ?? null,
  };
  return { line: JSON.stringify(told), failed: false, tokensIn, tokensOut };
}

async function answerEntry(frontend: Frontend, entry: Entry, defaults: Defaults): Promise<BatchAnswer> {
  const began = performance.now();
  const body = typeof entry['body'] === 'object' && entry['body'] !== null ? (entry['body'] as Entry) : {};
  const {
    status,
    headers,
    body: text,
  } = await frontend.inject({
    method: 'POST',
    path: String(entry['url']),
    body: { ...filled(body, defaults), stream: false },
  });
  const answer = read(text);
  const usage = (answer?.['usage'] ?? {}) as { prompt_tokens?: number; completion_tokens?: number };
  const failed = status >= 400;
  const told = {
    id: `batch_req_${String(answer?.['id'] ?? '')}`,
    custom_id: entry['custom_id'] ?? null,
    response: { status_code: status, request_id: headers['x-request-id'] ?? '', body: answer ?? text },
    error: failed ? { code: String(status), message: String(answer?.['message'] ?? text) } : null,
    elapsed_ms: Math.round(performance.now() - began),
  };
  return { line: JSON.stringify(told), failed, tokensIn: usage.prompt_tokens ?? 0, tokensOut: usage.completion_tokens ?? 0 };
}

function failure(entry: Entry, thrown: unknown): BatchAnswer {
  const { code, message } = DynamoError.from(thrown);
  return { line: JSON.stringify({ ...entry, error: { code, message } }), failed: true, tokensIn: 0, tokensOut: 0 };
}
