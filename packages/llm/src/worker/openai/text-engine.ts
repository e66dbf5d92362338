import type { Handler, HandlerContext } from '@dynamo/runtime';
import { DynamoError } from '@dynamo/runtime';
import { itemsOf } from '@dynamo/runtime/internal';
import type { Upstream } from './upstream.ts';
import { cutError, protocolError } from './upstream-error.ts';
import { completionEvent } from './wire/completion-chunk.ts';
import { passedRequest } from './wire/completion-request.ts';

type Members = Readonly<Record<string, unknown>>;

/**
 * An engine that passes the client's own request on to an OpenAI server, for models whose tokenizer is not at hand: the
 * upstream renders and tokenizes, and its chunks go back as they are.
 */
export function textEngine({ upstream, model }: { readonly upstream: Upstream; readonly model: string }): Handler<Members, unknown> {
  return (request, context) => itemsOf(() => answer(upstream, { request, model, context }));
}

async function* answer(
  upstream: Upstream,
  { request, model, context }: { request: Members; model: string; context: HandlerContext },
): AsyncGenerator<readonly unknown[]> {
  const path = Array.isArray(request['messages']) ? '/v1/chat/completions' : '/v1/completions';
  const headers = { ...context.traceHeaders(), 'x-request-id': context.id };
  let done = false;
  for await (const events of upstream.stream(path, { body: passedRequest(request, model), headers, signal: context.signal })) {
    const chunks: unknown[] = [];
    for (const data of events) {
      if (data === '[DONE]') {
        done = true;
        continue;
      }
      const { chunk, ends } = chunkOf(upstream, data, request['model']);
      done ||= ends;
      chunks.push(chunk);
    }
    if (chunks.length > 0) yield chunks;
  }
  if (!done && !context.signal.aborted) throw cutError(upstream.url);
}

/** The event as the client gets it, under the name that the client asked for. */
function chunkOf(upstream: Upstream, data: string, model: unknown): { chunk: Members; ends: boolean } {
  const event = completionEvent(data);
  if (event?.failed !== undefined) throw new DynamoError('unknown', event.failed, { origin: 'backend', data: { upstream: upstream.url } });
  if (event === undefined) throw protocolError(upstream.url, `sent an event that is none of a completion: ${data.slice(0, 80)}`);
  const chunk = JSON.parse(data) as Members;
  return { chunk: { ...chunk, model: model ?? chunk['model'] }, ends: event.choices.some(({ finishReason }) => finishReason !== undefined) };
}
