import { freshId } from '../fresh-id.ts';
import type { CallDelta } from '../../stages/parse-answer.ts';

/** Whether an item of the output is whole. */
export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** A text of the model's, as a part of its message. */
export const textPart = (text: string): Record<string, unknown> => ({ type: 'output_text', annotations: [], logprobs: [], text });

/** What the model says. */
export const messageItem = (id: string, content: readonly unknown[], status: ItemStatus): Record<string, unknown> => ({
  type: 'message',
  content,
  id,
  role: 'assistant',
  status,
});

/** What the model thinks; shown to who asks for a summary. */
export const reasoningItem = (id: string, text: string | undefined, status: ItemStatus): Record<string, unknown> => ({
  type: 'reasoning',
  id,
  summary: [],
  content: text === undefined ? [] : [{ type: 'reasoning_text', text }],
  status,
});

/** A call of a function. */
export interface OutputCall {
  readonly id: string;
  readonly callId: string;
  readonly name: string;
  arguments: string;
  /** True where the arguments are no JSON. */
  broken?: boolean;
}

/** A call from its first piece. */
export const outputCall = ({ id, name }: CallDelta): OutputCall => ({ id: freshId('fc'), callId: id ?? '', name: name ?? '', arguments: '' });

/** The item of a call. */
export const callItem = (call: OutputCall, status: ItemStatus): Record<string, unknown> => ({
  type: 'function_call',
  arguments: status === 'in_progress' ? '' : call.arguments,
  call_id: call.callId,
  name: call.name,
  id: call.id,
  status,
});
