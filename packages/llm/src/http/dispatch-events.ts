import type { AnswerChunk, CallDelta } from '../stages/parse-answer.ts';
import type { HttpOptions } from './settings.ts';

/** A call that is not complete yet, as it will be told of. */
interface OpenCall {
  index: number;
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

/**
 * Tells of each complete call, and of each thought that has ended, in events of their own, which come before the chunk
 * that makes it so (spec llm 3.3, vectors dispatch.json).
 */
export function dispatchEvents(wanted: NonNullable<HttpOptions['dispatch']>): (chunk: AnswerChunk) => string {
  const thoughts = new Map<number, string>();
  const calls = new Map<string, OpenCall>();

  const thoughtEvent = (choice: number, chunk: AnswerChunk): string => {
    if (chunk.reasoning !== undefined) thoughts.set(choice, (thoughts.get(choice) ?? '') + chunk.reasoning);
    const thought = thoughts.get(choice);
    if (thought === undefined || (chunk.text === '' && chunk.calls === undefined && chunk.finishReason === undefined)) return '';
    thoughts.delete(choice);
    return `event: reasoning_dispatch\ndata: ${JSON.stringify({ index: choice, reasoning_content: thought })}\n\n`;
  };

  const callEvent = (choice: number, { index, id, name, arguments: text, done, broken }: CallDelta): string => {
    const key = `${choice}/${index}`;
    const call = calls.get(key) ?? { index, id: id ?? '', type: 'function', function: { name: name ?? '', arguments: '' } };
    call.function.arguments += text;
    calls.set(key, call);
    if (done !== true && broken !== true) return '';
    calls.delete(key);
    if (broken === true) return '';
    return `event: tool_call_dispatch\ndata: ${JSON.stringify({ choice_index: choice, tool_call: call })}\n\n`;
  };

  return (chunk) => {
    const choice = chunk.index ?? 0;
    let events = wanted.thoughts === true ? thoughtEvent(choice, chunk) : '';
    if (wanted.calls === true) for (const call of chunk.calls ?? []) events += callEvent(choice, call);
    return events;
  };
}
