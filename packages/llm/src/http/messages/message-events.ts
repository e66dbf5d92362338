import type { AnswerChunk, CallDelta } from '../../stages/parse-answer.ts';
import type { EventWriter } from '../chat-answer.ts';
import type { Failure } from '../errors.ts';
import { freshId } from '../fresh-id.ts';
import { errorOf, event, membersText, type MessageShape, stopOf, wireUsage } from './shape.ts';

/** The events of one message (spec llm 3.4). */
export interface MessageEvents extends EventWriter<AnswerChunk> {
  /** The event before the first chunk. */
  readonly opening: string;
}

/** The block under way: only one is open at a time. */
interface OpenBlock {
  readonly kind: 'text' | 'thinking' | 'call';
  readonly index: number;
  /** Which of the answer's calls it is. */
  readonly call?: number;
}

/**
 * Writes a message as events, block by block. Usage stands on every piece.
 *
 * What is thought behind a text opens a block of its own, as the API has it; 1.6.1 goes on in a block that it has closed.
 */
export function messageEvents(shape: MessageShape): MessageEvents {
  const { usage, model, estimate } = shape;
  let open: OpenBlock | undefined;
  let blocks = 0;
  let chunks = 0;
  let called = 0;
  /** Whether the open block's call goes on, and what was thought within it: a block that is closed can't be opened again. */
  let calling = false;
  let within = '';
  let finish: AnswerChunk['finishReason'];
  let stopReason: AnswerChunk['stopReason'];

  /** What is known of the usage now: workers that make the tokens tell of it at the end. */
  const counts = (): { input: number; output: number; cached: number | undefined } => {
    const { prompt_tokens: input, completion_tokens: output } = usage.wire;
    const known = shape.facts !== undefined || usage.finished;
    return known && chunks > 0 ? { input, output, cached: usage.cached } : { input: estimate, output: chunks, cached: undefined };
  };
  const delta = (index: number, members: string): string => {
    const { input, output, cached } = counts();
    const told = wireUsage({ input, output, cached });
    return event('content_block_delta', `"index":${index},"delta":{${members}},"usage":${told.slice(0, -1)},"total_tokens":${input + output}}`);
  };
  const close = (): string => {
    if (open === undefined) return '';
    const { kind, index } = open;
    open = undefined;
    const signed = kind === 'thinking' ? delta(index, '"type":"signature_delta","signature":"erased"') : '';
    return signed + event('content_block_stop', `"index":${index}`);
  };
  const begin = (block: Omit<OpenBlock, 'index'>, content: Readonly<Record<string, unknown>>): string => {
    const closing = close();
    open = { ...block, index: blocks++ };
    return closing + event('content_block_start', `"index":${open.index},"content_block":{${membersText(content)}}`);
  };
  const addThought = (thinking: string): string => {
    if (calling) {
      within += thinking;
      return '';
    }
    const begun = open?.kind === 'thinking' ? '' : begin({ kind: 'thinking' }, { type: 'thinking', thinking: '', signature: '' });
    return begun + delta((open as OpenBlock).index, `"type":"thinking_delta","thinking":${JSON.stringify(thinking)}`);
  };
  /** The call has ended: what was thought within it comes now. */
  const leaveCall = (): string => {
    calling = false;
    const thinking = within;
    within = '';
    return thinking === '' ? '' : addThought(thinking);
  };
  const addText = (text: string): string => {
    const before = leaveCall();
    const begun = open?.kind === 'text' ? '' : begin({ kind: 'text' }, { type: 'text', text: '' });
    return before + begun + delta((open as OpenBlock).index, `"type":"text_delta","text":${JSON.stringify(text)}`);
  };
  const addCall = ({ index, name, arguments: piece }: CallDelta): string => {
    let text = '';
    if (open?.call !== index)
      text = leaveCall() + begin({ kind: 'call', call: index }, { type: 'tool_use', id: freshId('toolu'), name: name ?? '', input: {} });
    calling = true;
    return piece === '' ? text : text + delta((open as OpenBlock).index, `"type":"input_json_delta","partial_json":${JSON.stringify(piece)}`);
  };

  const message = { id: freshId('msg'), type: 'message', role: 'assistant', content: [], model, stop_reason: null, stop_sequence: null };
  return {
    opening: event('message_start', `"message":{${membersText(message)},"usage":${wireUsage({ input: estimate, output: 0, cached: undefined })}}`),
    chunk(chunk) {
      usage.add(chunk);
      chunks++;
      let text = '';
      if (chunk.reasoning !== undefined && chunk.reasoning !== '') text += addThought(chunk.reasoning);
      if (chunk.text !== '') text += addText(chunk.text);
      for (const piece of chunk.calls ?? []) {
        if (piece.name !== undefined || piece.arguments !== '') text += addCall(piece);
        if (piece.name !== undefined) called++;
        if (piece.broken === true) called--;
        if (piece.done === true || piece.broken === true) text += leaveCall();
      }
      finish = chunk.finishReason ?? finish;
      stopReason = chunk.stopReason ?? stopReason;
      return text;
    },
    end() {
      const { reason, sequence } = stopOf(finish, { calls: called > 0, stopReason });
      const stop = { stop_reason: reason, ...(sequence === null ? {} : { stop_sequence: sequence }) };
      return (
        leaveCall() + close() + event('message_delta', `"delta":{${membersText(stop)}},"usage":${wireUsage(counts())}`) + event('message_stop', '')
      );
    },
    failed: (_early: Failure, told: Failure) => event('error', membersText({ error: errorOf(told) })),
  };
}
