import { encodeJsonText } from '@dynamo/runtime/internal';
import type { AnswerChunk, CallDelta } from '../../stages/parse-answer.ts';
import type { EventWriter } from '../chat-answer.ts';
import { failure, type Failure } from '../errors.ts';
import { refusal } from '../refusal.ts';
import { freshId } from '../fresh-id.ts';
import { callItem, type ItemStatus, messageItem, type OutputCall, outputCall, reasoningItem, textPart } from './output-items.ts';
import { responseMembers, type ResponseState } from './response-body.ts';
import { endOf, type ResponseShape } from './shape.ts';

/** The events of one response, numbered from 0 (spec llm 3.4). */
export interface ResponseEvents extends EventWriter<AnswerChunk> {
  /** The events before the first chunk. */
  readonly opening: string;
}

/** A text under way: its item, its place in the output, and the JSON before and behind each of its pieces. */
interface OpenText {
  readonly id: string;
  readonly at: number;
  text: string;
  closed: boolean;
}

/**
 * Writes a response as events.
 *
 * The thoughts end with the first text or call behind them, and what is thought later is not told; calls and text end with the
 * answer, calls first, as in 1.6.1.
 */
export function responseEvents(shape: ResponseShape): ResponseEvents {
  const { usage, facts, allowed, frame } = shape;
  const output: unknown[] = [];
  const calls = new Map<number, { readonly at: number; readonly call: OutputCall }>();
  let sequence = 0;
  let thought: OpenText | undefined;
  let message: OpenText | undefined;
  let finish: AnswerChunk['finishReason'];
  /** Events of a chunk in the middle of which the answer failed. */
  let unsent = '';

  const event = (type: string, members: Readonly<Record<string, unknown>>): string =>
    `event: ${type}\ndata: {"type":"${type}","sequence_number":${sequence++},${encodeJsonText(members).slice(1)}\n\n`;
  const whole = (type: string, state: ResponseState): string => event(type, { response: responseMembers(frame, state) });
  const added = (at: number, item: Readonly<Record<string, unknown>>): string => {
    output[at] = item;
    return event('response.output_item.added', { output_index: at, item });
  };
  const ended = (at: number, item: Readonly<Record<string, unknown>>): string => {
    output[at] = item;
    return event('response.output_item.done', { output_index: at, item });
  };
  const part = (phase: 'added' | 'done', { id, at }: OpenText, shown: unknown): string =>
    event(`response.content_part.${phase}`, { item_id: id, output_index: at, content_index: 0, part: shown });

  const openThought = (): string => {
    thought = { id: freshId('rs'), at: output.length, text: '', closed: false };
    return added(thought.at, reasoningItem(thought.id, undefined, 'in_progress')) + part('added', thought, { type: 'reasoning_text', text: '' });
  };
  const closeThought = (status: ItemStatus): string => {
    if (thought === undefined || thought.closed) return '';
    thought.closed = true;
    const { id, at, text } = thought;
    const done = event('response.reasoning_text.done', { item_id: id, output_index: at, content_index: 0, text });
    return done + part('done', thought, { type: 'reasoning_text', text }) + ended(at, reasoningItem(id, text, status));
  };
  const addThought = (text: string): string => {
    if (!shape.thoughts || message !== undefined || calls.size > 0) return '';
    const opened = thought === undefined ? openThought() : '';
    const { id, at } = thought as OpenText;
    (thought as OpenText).text += text;
    return opened + event('response.reasoning_text.delta', { item_id: id, output_index: at, content_index: 0, delta: text });
  };

  let deltaHead = '';
  let deltaTail = '';
  const openMessage = (): string => {
    message = { id: freshId('msg'), at: output.length, text: '', closed: false };
    deltaHead = 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":';
    deltaTail = `,"item_id":"${message.id}","output_index":${message.at},"content_index":0,"delta":`;
    return added(message.at, messageItem(message.id, [], 'in_progress')) + part('added', message, textPart(''));
  };
  const addText = (text: string): string => {
    const opened = message === undefined ? closeThought('completed') + openMessage() : '';
    (message as OpenText).text += text;
    return `${opened}${deltaHead}${sequence++}${deltaTail}${JSON.stringify(text)},"logprobs":[]}\n\n`;
  };
  const closeMessage = (status: ItemStatus): string => {
    if (message === undefined) return '';
    const { id, at, text } = message;
    const done = event('response.output_text.done', { item_id: id, output_index: at, content_index: 0, text, logprobs: [] });
    return done + part('done', message, textPart(text)) + ended(at, messageItem(id, [textPart(text)], status));
  };

  const addCall = (piece: CallDelta): string => {
    let text = '';
    let known = calls.get(piece.index);
    if (known === undefined) {
      text = closeThought('completed');
      known = { at: output.length, call: outputCall(piece) };
      calls.set(piece.index, known);
      text += added(known.at, callItem(known.call, 'in_progress'));
    }
    if (piece.arguments === '') return text;
    known.call.arguments += piece.arguments;
    const delta = { item_id: known.call.id, output_index: known.at, delta: piece.arguments };
    return text + event('response.function_call_arguments.delta', delta);
  };
  const closeCalls = (status: ItemStatus): string => {
    let text = '';
    for (const { call, at } of calls.values()) {
      const { id, name, arguments: given } = call;
      // The name stands before the number there.
      text += `event: response.function_call_arguments.done\ndata: {"type":"response.function_call_arguments.done","name":${JSON.stringify(name)},"sequence_number":${sequence++},`;
      text += `${JSON.stringify({ item_id: id, output_index: at, arguments: given }).slice(1)}\n\n`;
      text += ended(at, callItem(call, call.broken === true ? 'incomplete' : status));
    }
    return text;
  };

  const begun: ResponseState = { status: 'in_progress', output: [] };
  return {
    opening: whole('response.created', begun) + whole('response.in_progress', begun),
    chunk(chunk) {
      usage.add(chunk);
      if (facts?.any === true) facts.add(chunk);
      let text = '';
      const refused = chunk.calls?.find(({ name }) => name !== undefined && allowed?.has(name) === false);
      if (chunk.reasoning !== undefined) text += addThought(chunk.reasoning);
      if (chunk.text !== '') text += addText(chunk.text);
      for (const piece of chunk.calls ?? []) {
        if (piece === refused) {
          unsent = text;
          throw refusal('unknown', failure(500, `Backend returned function '${piece.name}' outside allowed_tools`));
        }
        if (piece.name !== undefined || piece.arguments !== '') text += addCall(piece);
        const call = calls.get(piece.index)?.call;
        if (call !== undefined && piece.broken === true) call.broken = true;
      }
      finish = chunk.finishReason ?? finish;
      return text;
    },
    end() {
      const { status, incomplete } = endOf(finish);
      const closing = closeThought(status) + closeCalls(status) + closeMessage(status);
      const state: ResponseState = {
        status,
        output,
        usage: usage.finished ? usage.wire : undefined,
        ...(incomplete === undefined ? {} : { incomplete }),
      };
      const members = responseMembers(frame, state);
      shape.keep?.(encodeJsonText(members), output);
      return closing + event(`response.${status}`, { response: members });
    },
    failed({ status, body }: Failure) {
      const closing = unsent + closeThought('incomplete') + closeCalls('completed') + closeMessage('incomplete');
      const code = status >= 500 ? 'server_error' : status === 429 ? 'rate_limit_exceeded' : 'invalid_prompt';
      const state: ResponseState = {
        status: 'failed',
        output,
        error: { code, message: body.message },
        usage: usage.finished ? usage.wire : undefined,
      };
      return closing + whole('response.failed', state);
    },
  };
}
