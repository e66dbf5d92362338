import type { FastifyInstance } from 'fastify';
import type { TextModel } from '../../frontend/serving-model.ts';
import { parseChatRequest } from '../../openai/chat.ts';
import { passedChat } from '../../openai/passed-request.ts';
import { annotationEvents, bypassEvent } from '../annotations.ts';
import type { Asking } from '../asking.ts';
import { ChatAnswer, chatEvents } from '../chat-answer.ts';
import { beginChat, type BegunChat, runOnTokens } from '../chat-run.ts';
import type { Answering } from '../exchange.ts';
import { opened, type OpenedAnswer } from '../opened.ts';
import { PassedAnswer, type PassedChunk, passedEvents, readPassed } from '../passed-answer.ts';
import { callOf, modelFor, withHints } from '../request-facts.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import { itemsOfWorker } from '../worker-items.ts';
import type { RouteParts } from './parts.ts';

/** `POST /v1/chat/completions` (spec llm 3). */
export const chatRoute = (server: FastifyInstance, parts: RouteParts): void =>
  textRoute(server, parts, { path: parts.http.paths.chat, surface: 'chat', answer: chat });

const chat = async (exchange: TextExchange): Promise<void> => (await openChat(exchange, String(exchange.request.body ?? ''))).send(exchange.reply);

/**
 * Reads a chat request and opens its answer.
 *
 * @throws DynamoError `invalid_argument` for a request that 1.6.1 refuses, `not_found` for a model that nobody has.
 */
export async function openChat(asking: Asking, text: string): Promise<OpenedAnswer> {
  const asked = withHints(parseChatRequest(text), asking);
  const record = beginChat(asking, asked, 'chat_completions');
  const model = modelFor(asking.parts, asked.model, 'chat');
  if (model.input === 'text') return passOn(asking, { asked, model, record });
  const { shape, prompt, tokens, answering, usage } = await runOnTokens(asking, { asked, model, record });
  return opened({
    answering,
    stream: asked.stream === true,
    whole: () => new ChatAnswer(shape),
    events: () => ({
      writer: chatEvents(shape),
      opening: () => bypassEvent(shape.facts.placed) + annotationEvents(tokens.annotations, { id: asking.id, prompt, tokenIds: tokens.tokenIds }),
    }),
    ended: () => {
      if (usage.cached !== undefined) record.cached(usage.cached);
    },
  });
}

/** A text-input worker gets the request as it is, and its chunks are the answer's (spec llm 2.6). */
function passOn(asking: Asking, { asked, model, record }: BegunChat<TextModel>): OpenedAnswer {
  const { id, parts } = asking;
  const call = callOf(asking);
  const answering: Answering<PassedChunk> = {
    record,
    http: parts.http,
    model: model.name,
    open: (signal) => readPassed(itemsOfWorker(model.raw, passedChat(asked), { ...call, signal }), { route: 'chat' }),
  };
  return opened({
    answering,
    stream: asked.stream === true,
    whole: () => new PassedAnswer('chat'),
    events: () => ({ writer: passedEvents('chat'), opening: () => annotationEvents(asked.nvext?.annotations ?? [], { id }) }),
  });
}
