import type { ServingModel } from '../frontend/serving-model.ts';
import type { AnswerChunk, CallDelta } from '../stages/parse-answer.ts';
import type { TextChunk } from '../stages/to-text.ts';
import type { AnswerFacts } from './answer-facts.ts';
import type { Failure } from './errors.ts';
import { dispatchEvents } from './dispatch-events.ts';
import { chatLogprobs, type TokenNames } from './logprobs.ts';
import type { HttpSettings } from './settings.ts';
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
  /** Text of the events that end an answer which has failed, told as if nothing had come before; without it the error is told as chats tell it. */
  failed?(told: Failure, later: Failure): string;
}

/** What a chat answer needs to know beside. */
export interface ChatShape extends AnswerShape {
  readonly http: Pick<HttpSettings, 'reasoningField' | 'dispatch'>;
}

/** Chat chunks: constant text around each delta is made once a request (hot-path measurements). */
export function chatEvents(shape: ChatShape): EventWriter<AnswerChunk> {
  const { usage, facts } = shape;
  const { reasoningField, dispatch } = shape.http;
  const opening = `data: {"id":${JSON.stringify(`chatcmpl-${shape.id}`)},"choices":[`;
  const closing = `],"created":${Math.floor(Date.now() / 1000)},"model":${JSON.stringify(shape.model.name)},"object":"chat.completion.chunk"`;
  const head = `${opening}{"index":0,"delta":{"content":`;
  const thoughtHead = `${opening}{"index":0,"delta":{"${reasoningField}":`;
  const tail = `},"finish_reason":null,"logprobs":null}${closing}}\n\n`;
  const dispatched = dispatch.calls === true || dispatch.thoughts === true ? dispatchEvents(dispatch) : undefined;
  const plain = !shape.continuousUsage && !facts.any && dispatched === undefined;
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
      const { reasoning, text } = chunk;
      const calls = shownCalls(chunk);
      if (plain && firstBegun && index === 0 && chunk.finishReason === undefined && chunk.logprobs === undefined && calls === undefined) {
        if (reasoning === undefined) return text === '' ? '' : head + JSON.stringify(text) + tail;
        if (text === '') return thoughtHead + JSON.stringify(reasoning) + tail;
      }
      if (facts.any) facts.add(chunk);
      const first = !begun.has(index);
      const finish = finishOf(chunk);
      const before = dispatched?.(chunk) ?? '';
      if (text === '' && reasoning === undefined && calls === undefined && finish === null && (!first || chunk.held === true)) return before;
      begun.add(index);
      firstBegun ||= index === 0;
      const delta = {
        ...(text === '' && calls === undefined ? {} : { content: text }),
        ...(calls === undefined ? {} : { tool_calls: calls.map(wireDelta) }),
        ...(first ? { role: 'assistant' } : {}),
        ...(reasoning === undefined ? {} : { [reasoningField]: reasoning }),
      };
      const choice = { index, delta, finish_reason: finish, logprobs: chatLogprobs(chunk, shape.names) };
      return before + opening + JSON.stringify(choice) + closed(finish !== null);
    },
    end: () => (shape.includeUsage && usage.finished ? `${opening}${closing},"usage":${JSON.stringify(usage.wire)}}\n\n` : ''),
  };
}

/** The calls of a chunk that have something to show; one that is only complete now has not. */
function shownCalls({ calls }: AnswerChunk): readonly CallDelta[] | undefined {
  if (calls === undefined) return undefined;
  const shown = calls.filter((call) => call.name !== undefined || call.arguments !== '');
  return shown.length === 0 ? undefined : shown;
}

/** A call's piece as OpenAI names its members: id, type and name come once. */
const wireDelta = ({ index, id, name, arguments: text }: CallDelta): Record<string, unknown> =>
  name === undefined ? { index, function: { arguments: text } } : { index, id, type: 'function', function: { name, arguments: text } };

/** An answer in which tools were called and that the model ended itself ends in `tool_calls` (spec llm 6). */
function finishOf(chunk: AnswerChunk): string | null {
  const finish = wireFinish(chunk.finishReason);
  return finish === 'stop' && chunk.called === true ? 'tool_calls' : finish;
}

interface Choice {
  text: string;
  reasoning: string;
  readonly calls: { id: string; type: 'function'; function: { name: string; arguments: string } }[];
  finish: string | null;
  readonly logprobs: unknown[];
}

/** Gathers a chat answer that is sent whole. */
export class ChatAnswer {
  readonly #shape: ChatShape;
  readonly #choices = new Map<number, Choice>();

  constructor(shape: ChatShape) {
    this.#shape = shape;
  }

  add(chunk: AnswerChunk): void {
    this.#shape.usage.add(chunk);
    if (this.#shape.facts.any) this.#shape.facts.add(chunk);
    const index = chunk.index ?? 0;
    let choice = this.#choices.get(index);
    if (choice === undefined) this.#choices.set(index, (choice = { text: '', reasoning: '', calls: [], finish: null, logprobs: [] }));
    choice.text += chunk.text;
    if (chunk.reasoning !== undefined) choice.reasoning += chunk.reasoning;
    for (const { index: at, id, name, arguments: text } of chunk.calls ?? []) {
      const call = choice.calls[at];
      if (call !== undefined) call.function.arguments += text;
      else choice.calls[at] = { id: id ?? '', type: 'function', function: { name: name ?? '', arguments: text } };
    }
    if (chunk.finishReason !== undefined) choice.finish = finishOf(chunk);
    if (chunk.logprobs !== undefined) choice.logprobs.push(...(chatLogprobs(chunk, this.#shape.names)?.content ?? []));
  }

  /** The answer's JSON. One without any chunk is empty, as the real one's is. */
  text(): string {
    const { id, model, usage, facts, http } = this.#shape;
    if (this.#choices.size === 0) return JSON.stringify({ id: '', choices: [], created: 0, model: '', object: 'chat.completion' });
    const choices = [...this.#choices].toSorted(([a], [b]) => a - b);
    const body = JSON.stringify({
      id: `chatcmpl-${id}`,
      choices: choices.map(([index, { text, reasoning, calls, finish, logprobs }]) => ({
        index,
        message: {
          content: text === '' ? null : text,
          refusal: null,
          ...(calls.length === 0 ? {} : { tool_calls: calls }),
          role: 'assistant',
          ...(reasoning === '' ? {} : { [http.reasoningField]: reasoning }),
        },
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
