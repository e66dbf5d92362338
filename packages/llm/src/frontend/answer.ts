import type { CallOptions } from '@dynamo/runtime';
import { type BatchedIterable, pipe } from '@dynamo/runtime/internal';
import type { TokenRequest } from '@dynamo/kv-router';
import { readChunks } from '../stages/read-chunks.ts';
import { type TextChunk, toText } from '../stages/to-text.ts';
import type { Placed, ServingModel } from './serving-model.ts';

/** How one engine request is made on behalf of a client. */
export interface AnswerOptions extends CallOptions {
  /** Filled with the instance that the request goes to. */
  placed?: Placed;
}

/** Sends a tokenized request and reads the answer as text: the pipeline of every text route, readable as a list. */
export function answer(model: ServingModel, request: TokenRequest, call: AnswerOptions): BatchedIterable<TextChunk> {
  return pipe(
    model.client.generate(request, call),
    readChunks,
    toText({
      tokenizer: model.tokenizer,
      promptIds: request.tokenIds,
      ...(request.stop === undefined ? {} : { stop: request.stop }),
      skipSpecialTokens: request.output?.skipSpecialTokens ?? true,
      n: request.sampling?.n ?? 1,
      includeStopStrInOutput: request.sampling?.includeStopStrInOutput ?? false,
    }),
  );
}
