import type { TextChunk } from '../stages/to-text.ts';
import type { AnswerShape, EventWriter } from './chat-answer.ts';
import { completionLogprobs, type CompletionLogprobs } from './logprobs.ts';
import { sumUsage, type UsageCount, wireFinish } from './usage.ts';

/** One of a completion request's prompts: each is an engine request of its own (spec llm 2.1). */
export interface CompletionShape extends AnswerShape {
  /** Index of this prompt's first choice: prompt index times n. */
  readonly firstChoice: number;
}

const modelTail = (shape: AnswerShape): string =>
  `],"created":${Math.floor(Date.now() / 1000)},"model":${JSON.stringify(shape.model.name)},"system_fingerprint":null,"object":"text_completion"`;

/** Completion chunks of all prompts: a chunk's index is prompt index times n plus its choice. */
export function completionEvents(shapes: readonly CompletionShape[], n: number): Pick<EventWriter, 'chunk'> {
  const writers = shapes.map(promptEvents);
  return { chunk: (chunk) => writers[Math.floor((chunk.index ?? 0) / n)]?.(chunk) ?? '' };
}

function promptEvents(shape: CompletionShape): (chunk: TextChunk) => string {
  const { usage, facts } = shape;
  const opening = `data: {"id":${JSON.stringify(`cmpl-${shape.id}`)},"choices":[`;
  const closing = modelTail(shape);
  const head = `${opening}{"text":`;
  const plainTail = `,"index":${shape.firstChoice}}${closing},"usage":null}\n\n`;
  const plain = !shape.continuousUsage && !facts.any;
  return (chunk) => {
    usage.add(chunk);
    if (facts.any) facts.add(chunk);
    const index = chunk.index ?? 0;
    const finish = wireFinish(chunk.finishReason);
    if (chunk.text === '' && finish === null && !facts.placementOnly) return '';
    if (plain && finish === null && chunk.logprobs === undefined && index === shape.firstChoice) return head + JSON.stringify(chunk.text) + plainTail;
    const logprobs = completionLogprobs(chunk, shape.names);
    const choice = {
      text: chunk.text,
      index,
      ...(logprobs === undefined ? {} : { logprobs }),
      ...(finish === null ? {} : { finish_reason: finish }),
    };
    const extra = facts.any ? (finish === null ? facts.midway() : facts.whole()) : undefined;
    const counted = shape.continuousUsage ? JSON.stringify(usage.wire) : 'null';
    return `${opening}${JSON.stringify(choice)}${closing},"usage":${counted}${extra === undefined ? '' : `,"nvext":${extra}`}}\n\n`;
  };
}

/** The event with the whole request's usage, behind the chunks of all prompts. */
export const completionUsageEvent = (shape: CompletionShape, id: string, counts: readonly UsageCount[]): string =>
  `data: {"id":${JSON.stringify(`cmpl-${id}`)},"choices":[${modelTail(shape)},"usage":${JSON.stringify(sumUsage(counts))}}\n\n`;

/** Gathers completion answers that are sent whole. */
export class CompletionAnswer {
  readonly #choices = new Map<number, { text: string; finish: string | undefined; logprobs: CompletionLogprobs | undefined }>();

  readonly #id: string;
  readonly #shapes: readonly CompletionShape[];
  readonly #n: number;

  constructor(id: string, shapes: readonly CompletionShape[], n: number) {
    this.#id = id;
    this.#shapes = shapes;
    this.#n = n;
  }

  add(chunk: TextChunk): void {
    const index = chunk.index ?? 0;
    const shape = this.#shapes[Math.floor(index / this.#n)];
    if (shape === undefined) return;
    shape.usage.add(chunk);
    if (shape.facts.any) shape.facts.add(chunk);
    let choice = this.#choices.get(index);
    if (choice === undefined) this.#choices.set(index, (choice = { text: '', finish: undefined, logprobs: undefined }));
    choice.text += chunk.text;
    if (chunk.finishReason !== undefined) choice.finish = wireFinish(chunk.finishReason) ?? undefined;
    const logprobs = completionLogprobs(chunk, shape.names);
    if (logprobs === undefined) return;
    const kept = (choice.logprobs ??= { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] });
    kept.tokens.push(...logprobs.tokens);
    kept.token_logprobs.push(...logprobs.token_logprobs);
    kept.top_logprobs.push(...logprobs.top_logprobs);
  }

  text(): string {
    const [shape] = this.#shapes;
    if (shape === undefined || this.#choices.size === 0)
      return JSON.stringify({ id: '', choices: [], created: 0, model: '', system_fingerprint: null, object: 'text_completion' });
    const choices = [...this.#choices].toSorted(([a], [b]) => a - b);
    const counts = this.#shapes.map(({ usage }) => usage);
    const body = JSON.stringify({
      id: `cmpl-${this.#id}`,
      choices: choices.map(([index, { text, finish, logprobs }]) => ({
        text,
        index,
        ...(logprobs === undefined ? {} : { logprobs }),
        ...(finish === undefined ? {} : { finish_reason: finish }),
      })),
      created: Math.floor(Date.now() / 1000),
      model: shape.model.name,
      system_fingerprint: null,
      object: 'text_completion',
      ...(counts.every((count) => count.finished) ? { usage: sumUsage(counts) } : shape.facts.placementOnly ? { usage: null } : {}),
    });
    const extra = shape.facts.any ? shape.facts.whole() : undefined;
    return extra === undefined ? body : `${body.slice(0, -1)},"nvext":${extra}}`;
  }
}
