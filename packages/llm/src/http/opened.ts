import type { FastifyReply } from 'fastify';
import type { EventWriter } from './chat-answer.ts';
import { type Answering, type Counted, sendEvents, sendWhole } from './exchange.ts';
import { named } from './request-facts.ts';

/** An answer that can begin: its request has been read, its model found and its prompt made. */
export interface OpenedAnswer {
  /** Sends it to an HTTP client, whole or as an event stream. */
  send(reply: FastifyReply): Promise<void>;
  /** Reads it as the texts of the very events that an HTTP client would get, each with at least one of them. */
  events(signal: AbortSignal): AsyncGenerator<string>;
}

/** What an opened answer is made of; only one of `whole` and `events` is called. */
export interface AnswerParts<Chunk extends Counted> {
  readonly answering: Answering<Chunk>;
  readonly stream: boolean;
  readonly whole: () => { add(chunk: Chunk): void; text(): string };
  /** `opening` is asked for when the first of the answer is there. */
  readonly events: () => { writer: EventWriter<Chunk>; opening: () => string };
  /** Called once the answer is complete. */
  readonly ended?: () => void;
}

/** Makes an opened answer: what its chunks are stays between its parts. */
export const opened = <Chunk extends Counted>(parts: AnswerParts<Chunk>): OpenedAnswer => ({
  async send(reply) {
    if (parts.stream) await sendEvents(reply, parts.answering, parts.events());
    else await sendWhole(reply, parts.answering, parts.whole());
    parts.ended?.();
  },
  events: (signal) => readEvents(parts, signal),
});

async function* readEvents<Chunk extends Counted>({ answering, events, ended }: AnswerParts<Chunk>, signal: AbortSignal): AsyncGenerator<string> {
  const { writer, opening } = events();
  try {
    let begun = false;
    for await (const batch of answering.open(signal)) {
      let text = begun ? '' : opening();
      begun = true;
      let tokens = 0;
      for (const chunk of batch) {
        tokens += chunk.tokenIds.length;
        text += writer.chunk(chunk);
      }
      answering.record.output(tokens);
      if (text !== '') yield text;
    }
    const last = writer.end();
    if (last !== '') yield last;
    ended?.();
  } catch (error) {
    throw named(error, answering.model);
  }
}
