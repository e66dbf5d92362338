import type { FastifyInstance } from 'fastify';
import type { AnyModel } from '../../frontend/serving-model.ts';
import { estimateTokens } from '../../openai/messages/estimate.ts';
import { parseCountRequest, parseMessagesRequest } from '../../openai/messages/request.ts';
import { chatOf } from '../../openai/messages/to-chat.ts';
import { runBegun, sendRun } from '../chat-run.ts';
import { failure } from '../errors.ts';
import { messageEvents } from '../messages/message-events.ts';
import { type MessageShape, shapedForMessages } from '../messages/shape.ts';
import { WholeMessage } from '../messages/whole-message.ts';
import { refusal } from '../refusal.ts';
import { answerTokens, modelFor, withHints } from '../request-facts.ts';
import { send, sendJson } from '../send.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import type { RouteParts } from './parts.ts';

/** `POST /v1/messages` and its count of tokens (spec llm 3.4); there where an operator turns them on. */
export function messagesRoutes(server: FastifyInstance, parts: RouteParts): void {
  if (!parts.http.messages.enabled) return;
  const path = parts.http.paths.messages;
  textRoute(server, parts, { path, surface: 'chat', answer, refusesInText: true, shaped: shapedForMessages });
  textRoute(server, parts, { path: `${path}/count_tokens`, surface: 'chat', answer: count, refusesInText: true, shaped: shapedForMessages });
  // Whatever else is asked there is told of in the same shape.
  server.all(`${path}/*`, (request, reply) =>
    send(reply, shapedForMessages(failure(404, `Route not found: ${request.method} ${request.url.split('?')[0]}`))),
  );
}

async function answer(exchange: TextExchange): Promise<void> {
  const { request, parts } = exchange;
  const { stripPreamble } = parts.http.messages;
  const asked = parseMessagesRequest(String(request.body ?? ''));
  const stream = asked.stream === true;
  const answerLimit = answerTokens(asked.max_tokens, 1);
  const record = exchange.begin({ model: asked.model, endpoint: 'anthropic_messages', stream, answerTokens: answerLimit });
  const model = found(parts, asked.model);
  const chat = chatOf(asked, { reasons: model.input === 'tokens' && model.reasoningParser !== undefined, stripPreamble });
  const run = await runBegun(exchange, { asked: withHints(chat, exchange), model, record });
  const shape: MessageShape = { model: run.model, usage: run.usage, facts: run.facts, estimate: estimateTokens(asked, { stripPreamble }) };
  if (!stream) return sendRun(exchange, run, { gather: new WholeMessage(shape) });
  const writer = messageEvents(shape);
  return sendRun(exchange, run, { writer, opening: () => writer.opening });
}

/** The model, or a failure that names it. */
function found(parts: RouteParts, name: string): AnyModel {
  if (parts.models.find(name, 'chat') === undefined) throw refusal('not_found', failure(404, `Model '${name}' not found`));
  return modelFor(parts, name, 'chat');
}

/** A guess, for which no model is looked up. */
async function count({ request, reply, parts }: TextExchange): Promise<void> {
  const tokens = estimateTokens(parseCountRequest(String(request.body ?? '')), parts.http.messages);
  sendJson(reply, JSON.stringify({ input_tokens: tokens }));
}
