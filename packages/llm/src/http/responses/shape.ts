import type { AnswerChunk } from '../../stages/parse-answer.ts';
import type { AnswerFacts } from '../answer-facts.ts';
import type { UsageCount } from '../usage.ts';
import type { ResponseFrame, ResponseState } from './response-body.ts';

/** What writing a response needs to know of its request. */
export interface ResponseShape {
  readonly frame: ResponseFrame;
  readonly usage: UsageCount;
  /** Undefined where the worker makes the tokens. */
  readonly facts: AnswerFacts | undefined;
  /** Whether thoughts are shown. */
  readonly thoughts: boolean;
  /** The only functions that may be called, where the request names them. */
  readonly allowed: ReadonlySet<string> | undefined;
  /** Keeps the response for later requests, given its JSON and its output. */
  readonly keep: ((body: string, output: readonly unknown[]) => void) | undefined;
}

/** How an answer ended: one that was cut short says why. */
export function endOf(finish: AnswerChunk['finishReason']): Pick<ResponseState, 'incomplete'> & { readonly status: 'completed' | 'incomplete' } {
  if (finish === 'length') return { status: 'incomplete', incomplete: 'max_output_tokens' };
  if (finish === 'content_filter') return { status: 'incomplete', incomplete: 'content_filter' };
  return { status: 'completed' };
}
