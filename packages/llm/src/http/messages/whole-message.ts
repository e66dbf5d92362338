import { encodeJsonText } from '@dynamo/runtime/internal';
import type { AnswerChunk } from '../../stages/parse-answer.ts';
import { freshId } from '../fresh-id.ts';
import { inputOf, type MessageShape, stopOf, wireUsage } from './shape.ts';

/** Gathers a message that is sent whole: its thoughts, its calls and its text, in this order. */
export class WholeMessage {
  readonly #shape: MessageShape;
  readonly #calls = new Map<number, { name: string; input: string }>();
  #text = '';
  #thought = '';
  #finish: AnswerChunk['finishReason'];
  #stopReason: AnswerChunk['stopReason'];
  #begun = false;

  constructor(shape: MessageShape) {
    this.#shape = shape;
  }

  add(chunk: AnswerChunk): void {
    this.#begun = true;
    this.#shape.usage.add(chunk);
    this.#text += chunk.text;
    this.#thought += chunk.reasoning ?? '';
    for (const piece of chunk.calls ?? []) {
      let call = this.#calls.get(piece.index);
      if (call === undefined) this.#calls.set(piece.index, (call = { name: piece.name ?? '', input: '' }));
      call.input += piece.arguments;
    }
    this.#finish = chunk.finishReason ?? this.#finish;
    this.#stopReason = chunk.stopReason ?? this.#stopReason;
  }

  text(): string {
    const { model, usage, facts } = this.#shape;
    const content: unknown[] = [];
    if (this.#thought !== '') content.push({ type: 'thinking', thinking: this.#thought, signature: '' });
    for (const { name, input } of this.#calls.values()) content.push({ type: 'tool_use', id: freshId('toolu'), name, input: inputOf(input) });
    if (this.#text !== '' || content.length === 0) content.push({ type: 'text', text: this.#text });
    const { reason, sequence } = stopOf(this.#finish, { calls: this.#calls.size > 0, stopReason: this.#stopReason });
    const { prompt_tokens: input, completion_tokens: output } = usage.wire;
    const message = { id: freshId('msg'), type: 'message', role: 'assistant', content, model, stop_reason: reason, stop_sequence: sequence };
    // An answer without any chunk has no usage either, as the real one's has none; workers that make the tokens tell of it at the end.
    const known = this.#begun && (facts !== undefined || usage.finished);
    const counted = wireUsage(known ? { input, output, cached: usage.cached } : { input: 0, output: 0, cached: undefined });
    return `${encodeJsonText(message).slice(0, -1)},"usage":${counted}}`;
  }
}
