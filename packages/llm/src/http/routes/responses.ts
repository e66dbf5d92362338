import { encodeJsonText } from '@dynamo/runtime/internal';
import type { FastifyInstance } from 'fastify';
import { estimateTokens } from '../../openai/responses/estimate.ts';
import { parseCountRequest, parseResponsesRequest, type ResponsesRequest } from '../../openai/responses/request.ts';
import { chatOf } from '../../openai/responses/to-chat.ts';
import { runChat, sendRun } from '../chat-run.ts';
import { withHints } from '../request-facts.ts';
import { keptResponse, ownerOf, withHistory } from '../responses/kept.ts';
import { freshId } from '../fresh-id.ts';
import { responseEvents } from '../responses/response-events.ts';
import type { ResponseShape } from '../responses/shape.ts';
import type { ResponseStore } from '../responses/store.ts';
import { WholeResponse } from '../responses/whole-answer.ts';
import { sendJson } from '../send.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import type { RouteParts } from './parts.ts';

/**
 * `POST /v1/responses` and its count of tokens (spec llm 3.4); where responses are kept, `GET` and `DELETE` of one beside,
 * which 1.6.1 has not.
 */
export function responsesRoutes(server: FastifyInstance, parts: RouteParts): void {
  const path = parts.http.paths.responses;
  textRoute(server, parts, { path, surface: 'chat', answer: respond });
  textRoute(server, parts, { path: `${path}/input_tokens`, surface: 'chat', answer: count });
  const { responses: store } = parts;
  if (store === undefined) return;
  server.get<{ Params: { id: string } }>(`${path}/:id`, async (request, reply) => {
    const { body } = await keptResponse(store, request.params.id, ownerOf(request));
    return sendJson(reply, body);
  });
  server.delete<{ Params: { id: string } }>(`${path}/:id`, async (request, reply) => {
    const { id } = await keptResponse(store, request.params.id, ownerOf(request));
    await store.delete(id);
    return sendJson(reply, JSON.stringify({ id, object: 'response', deleted: true }));
  });
}

async function respond(exchange: TextExchange): Promise<void> {
  const { request, parts } = exchange;
  const store = parts.responses;
  const asked = parseResponsesRequest(String(request.body ?? ''), { stored: store !== undefined });
  const owner = ownerOf(request);
  const { chat, allowed } = chatOf(store === undefined ? asked : await withHistory(asked, store, owner));
  const run = await runChat(exchange, withHints(chat, exchange), 'responses');
  const stored = store === undefined ? asked.store === true : asked.store !== false;
  const frame = { id: freshId('resp'), created: Math.floor(Date.now() / 1000), model: run.model, asked, stored };
  const shape: ResponseShape = {
    frame,
    usage: run.usage,
    facts: run.facts,
    thoughts: typeof asked.reasoning?.summary === 'string',
    allowed,
    keep: store === undefined || !stored ? undefined : keeping(store, { owner, id: frame.id, asked }),
  };
  if (asked.stream !== true) return sendRun(exchange, run, { gather: new WholeResponse(shape) });
  const writer = responseEvents(shape);
  return sendRun(exchange, run, { writer, opening: () => writer.opening });
}

/** Keeps a response once it is whole. */
function keeping(
  store: ResponseStore,
  { owner, id, asked }: { owner: string; id: string; asked: ResponsesRequest },
): NonNullable<ResponseShape['keep']> {
  const previous = asked.previous_response_id ?? undefined;
  return (body, output) => store.put({ id, owner, previous, input: encodeJsonText(asked.input), output: encodeJsonText(output), body });
}

async function count({ request, reply }: TextExchange): Promise<void> {
  const tokens = estimateTokens(parseCountRequest(String(request.body ?? '')));
  sendJson(reply, JSON.stringify({ object: 'response.input_tokens', input_tokens: tokens }));
}
