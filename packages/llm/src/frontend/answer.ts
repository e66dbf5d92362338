import type { CallOptions } from '@dynamo/runtime';
import { type BatchedIterable, pipe } from '@dynamo/runtime/internal';
import type { TokenRequest } from '@dynamo/kv-router';
import type { AnswerParser } from '../parsers/answer-parser.ts';
import { type AnswerChunk, parseAnswer } from '../stages/parse-answer.ts';
import { readChunks } from '../stages/read-chunks.ts';
import { splitAtTokens } from '../stages/split-at-tokens.ts';
import { timed } from '../stages/timed.ts';
import { toText } from '../stages/to-text.ts';
import type { Placed, ServingModel } from './serving-model.ts';

/** How one engine request is made on behalf of a client. */
export interface AnswerOptions extends CallOptions {
  /** Filled with the instance that the request goes to. */
  placed?: Placed;
  /** Reads thoughts and calls off the text; without one all text is the answer. */
  parser?: AnswerParser | undefined;
  /** Told what it took to make text of tokens, batch by batch. */
  detokenized?: (ms: number, tokens: number) => void;
}

/** Sends a tokenized request and reads the answer as text: the pipeline of every text route, readable as a list. */
export function answer(model: ServingModel, request: TokenRequest, { parser, detokenized, ...call }: AnswerOptions): BatchedIterable<AnswerChunk> {
  const items = model.client.generate(request, call);
  const plain = toText({
    tokenizer: model.tokenizer,
    promptIds: request.tokenIds,
    ...(request.stop === undefined ? {} : { stop: request.stop }),
    skipSpecialTokens: request.output?.skipSpecialTokens ?? true,
    n: request.sampling?.n ?? 1,
    includeStopStrInOutput: request.sampling?.includeStopStrInOutput ?? false,
  });
  const text = detokenized === undefined ? plain : timed(plain, detokenized);
  if (parser === undefined) return pipe(items, readChunks, text);
  const { marks } = model.parsers;
  if (marks === undefined) return pipe(items, readChunks, text, parseAnswer(parser));
  return pipe(items, readChunks, splitAtTokens(marks), text, parseAnswer(parser, marks));
}
