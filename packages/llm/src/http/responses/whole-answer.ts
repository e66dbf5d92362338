import { failure } from '../errors.ts';
import { refusal } from '../refusal.ts';
import type { AnswerChunk } from '../../stages/parse-answer.ts';
import { freshId } from '../fresh-id.ts';
import { callItem, messageItem, type OutputCall, outputCall, reasoningItem, textPart } from './output-items.ts';
import { wholeResponse } from './response-body.ts';
import { endOf, type ResponseShape } from './shape.ts';

/** Gathers a response that is sent whole: its thoughts, its calls and its text, in this order. */
export class WholeResponse {
  readonly #shape: ResponseShape;
  readonly #calls = new Map<number, OutputCall>();
  #text = '';
  #thought = '';
  #begun = false;
  #finish: AnswerChunk['finishReason'];

  constructor(shape: ResponseShape) {
    this.#shape = shape;
  }

  add(chunk: AnswerChunk): void {
    const { usage, facts, allowed } = this.#shape;
    this.#begun = true;
    usage.add(chunk);
    if (facts?.any === true) facts.add(chunk);
    this.#text += chunk.text;
    this.#thought += chunk.reasoning ?? '';
    for (const piece of chunk.calls ?? []) {
      if (piece.name !== undefined && allowed?.has(piece.name) === false)
        throw refusal('unknown', failure(500, 'Failed to convert internal response'));
      let call = this.#calls.get(piece.index);
      if (call === undefined) this.#calls.set(piece.index, (call = outputCall(piece)));
      call.arguments += piece.arguments;
    }
    this.#finish = chunk.finishReason ?? this.#finish;
  }

  text(): string {
    const { frame, usage, facts, thoughts, keep } = this.#shape;
    const end = endOf(this.#finish);
    const output: unknown[] = [];
    if (thoughts && this.#thought !== '') output.push(reasoningItem(freshId('rs'), this.#thought, end.status));
    for (const call of this.#calls.values()) output.push(callItem(call, end.status));
    if (this.#text !== '' || output.length === 0) output.push(messageItem(freshId('msg'), [textPart(this.#text)], end.status));
    const state = { ...end, output, usage: usage.finished ? usage.wire : undefined };
    // An answer without any chunk is nobody's, as the real one's is.
    const body = wholeResponse(this.#begun ? frame : { ...frame, model: '' }, state, facts?.any === true ? facts.whole() : undefined);
    keep?.(body, output);
    return body;
  }
}
