import type { ServingModel } from '../frontend/serving-model.ts';
import type { TextChunk } from '../stages/to-text.ts';
import type { AnswerFacts } from './answer-facts.ts';
import { chatLogprobs, type TokenNames } from './logprobs.ts';
import { type UsageCount, wireFinish } from './usage.ts';

/** What an answer needs to know of its request. */
export interface AnswerShape {
  readonly id: string;
  readonly model: ServingModel;
  readonly usage: UsageCount;
  readonly facts: AnswerFacts;
  /** Names of tokens in logprobs. */
  readonly names: TokenNames;
  readonly includeUsage: boolean;
  readonly continuousUsage: boolean;
}

/** Writes one answer's event texts, chunk by chunk. */
export interface EventWriter<Chunk = TextChunk> {
  /** Text of the events for one chunk: often one event, sometimes none. */
  chunk(chunk: Chunk): string;
  /** Text of the events behind the last chunk. */
  end(): string;
}

/** Chat chunks: constant text around each delta is made once a request (hot-path measurements). */
export function chatEvents(shape: AnswerShape): EventWriter {
  const { usage, facts } = shape;
  const opening = `data: {"id":${JSON.stringify(`chatcmpl-${shape.id}`)},"choices":[`;
  const closing = `],"created":${Math.floor(Date.now() / 1000)},"model":${JSON.stringify(shape.model.name)},"object":"chat.completion.chunk"`;
  const head = `${opening}{"index":0,"delta":{"content":`;
  const tail = `},"finish_reason":null,"logprobs":null}${closing}}\n\n`;
  const plain = !shape.continuousUsage && !facts.any;
  const begun = new Set<number>();
  let firstBegun = false;

  const closed = (finished: boolean): string => {
    let text = closing;
    if (shape.continuousUsage) text += `,"usage":${JSON.stringify(usage.wire)}`;
    const extra = facts.any ? (finished ? facts.whole() : facts.midway()) : undefined;
    if (extra !== undefined) text += `,"nvext":${extra}`;
    return `${text}}\n\n`;
  };

  return {
    chunk(chunk) {
      usage.add(chunk);
      const index = chunk.index ?? 0;
      if (plain && firstBegun && index === 0 && chunk.finishReason === undefined && chunk.logprobs === undefined) {
        return chunk.text === '' ? '' : head + JSON.stringify(chunk.text) + tail;
      }
      if (facts.any) facts.add(chunk);
      const first = !begun.has(index);
      const finish = wireFinish(chunk.finishReason);
      if (chunk.text === '' && finish === null && !first) return '';
      begun.add(index);
      firstBegun ||= index === 0;
      const delta = {
        ...(chunk.text === '' ? {} : { content: chunk.text }),
        ...(first ? { role: 'assistant' } : {}),
      };
      const choice = { index, delta, finish_reason: finish, logprobs: chatLogprobs(chunk, shape.names) };
      return opening + JSON.stringify(choice) + closed(finish !== null);
    },
    end: () => (shape.includeUsage && usage.finished ? `${opening}${closing},"usage":${JSON.stringify(usage.wire)}}\n\n` : ''),
  };
}

/** Gathers a chat answer that is sent whole. */
export class ChatAnswer {
  readonly #shape: AnswerShape;
  readonly #choices = new Map<number, { text: string; finish: string | null; logprobs: unknown[] }>();

  constructor(shape: AnswerShape) {
    this.#shape = shape;
  }

  add(chunk: TextChunk): void {
    this.#shape.usage.add(chunk);
    if (this.#shape.facts.any) this.#shape.facts.add(chunk);
    const index = chunk.index ?? 0;
    let choice = this.#choices.get(index);
    if (choice === undefined) this.#choices.set(index, (choice = { text: '', finish: null, logprobs: [] }));
    choice.text += chunk.text;
    if (chunk.finishReason !== undefined) choice.finish = wireFinish(chunk.finishReason);
    if (chunk.logprobs !== undefined) choice.logprobs.push(...(chatLogprobs(chunk, this.#shape.names)?.content ?? []));
  }

  /** The answer's JSON. One without any chunk is empty, as the real one's is. */
  text(): string {
    const { id, model, usage, facts } = this.#shape;
    if (this.#choices.size === 0) return JSON.stringify({ id: '', choices: [], created: 0, model: '', object: 'chat.completion' });
    const choices = [...this.#choices].toSorted(([a], [b]) => a - b);
    const body = JSON.stringify({
      id: `chatcmpl-${id}`,
      choices: choices.map(([index, { text, finish, logprobs }]) => ({
        index,
        message: { content: text === '' ? null : text, refusal: null, role: 'assistant' },
        finish_reason: finish,
        logprobs: logprobs.length === 0 ? null : { content: logprobs, refusal: null },
      })),
      created: Math.floor(Date.now() / 1000),
      model: model.name,
      object: 'chat.completion',
      ...(usage.finished ? { usage: usage.wire } : {}),
    });
    const extra = facts.any ? facts.whole() : undefined;
    return extra === undefined ? body : `${body.slice(0, -1)},"nvext":${extra}}`;
  }
}
