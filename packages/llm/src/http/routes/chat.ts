import type { FastifyInstance } from 'fastify';
import type { TextModel } from '../../frontend/serving-model.ts';
import { parseChatRequest } from '../../openai/chat.ts';
import { passedChat } from '../../openai/passed-request.ts';
import { annotationEvents } from '../annotations.ts';
import { ChatAnswer, chatEvents } from '../chat-answer.ts';
import { beginChat, type BegunChat, runOnTokens, sendRun } from '../chat-run.ts';
import { type Answering, sendEvents, sendWhole } from '../exchange.ts';
import { PassedAnswer, type PassedChunk, passedEvents, readPassed } from '../passed-answer.ts';
import { callOf, modelFor, withHints } from '../request-facts.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import { itemsOfWorker } from '../worker-items.ts';
import type { RouteParts } from './parts.ts';

/** `POST /v1/chat/completions` (spec llm 3). */
export const chatRoute = (server: FastifyInstance, parts: RouteParts): void =>
  textRoute(server, parts, { path: parts.http.paths.chat, surface: 'chat', answer: chat });

async function chat(exchange: TextExchange): Promise<void> {
  const asked = withHints(parseChatRequest(String(exchange.request.body ?? '')), exchange);
  const record = beginChat(exchange, asked, 'chat_completions');
  const model = modelFor(exchange.parts, asked.model, 'chat');
  if (model.input === 'text') return passOn(exchange, { asked, model, record });
  const run = await runOnTokens(exchange, { asked, model, record });
  const { shape, prompt, tokens } = run;
  if (asked.stream !== true) return sendRun(exchange, run, { gather: new ChatAnswer(shape) });
  const opening = annotationEvents(tokens.annotations, { id: exchange.id, prompt, tokenIds: tokens.tokenIds });
  return sendRun(exchange, run, { writer: chatEvents(shape), opening });
}

/** A text-input worker gets the request as it is, and its chunks are the answer's (spec llm 2.6). */
async function passOn(exchange: TextExchange, { asked, model, record }: BegunChat<TextModel>): Promise<void> {
  const { reply, id } = exchange;
  const call = callOf(exchange);
  const answering: Answering<PassedChunk> = {
    record,
    http: exchange.parts.http,
    model: model.name,
    open: (signal) => readPassed(itemsOfWorker(model.raw, passedChat(asked), { ...call, signal }), { route: 'chat' }),
  };
  if (asked.stream !== true) await sendWhole(reply, answering, new PassedAnswer('chat'));
  else await sendEvents(reply, answering, { writer: passedEvents('chat'), opening: annotationEvents(asked.nvext?.annotations ?? [], { id }) });
}
