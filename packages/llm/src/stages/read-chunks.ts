import { DynamoError } from '@dynamo/runtime';
import type { Stage } from '@dynamo/runtime/internal';
import type { TokenChunk } from '@dynamo/kv-router';
import { toTokenChunk } from '@dynamo/kv-router/internal';

/**
 * Turns what came over the wire into chunks.
 *
 * A chunk that can't be read, or that tells of an engine's failure, ends the stream: what came before it in the same read
 * is passed on first, and the error is thrown when the stages are flushed.
 */
export const readChunks: Stage<unknown, TokenChunk> = () => {
  let failure: DynamoError | undefined;
  return {
    push(batch) {
      const chunks: TokenChunk[] = [];
      for (const item of batch) {
        try {
          const chunk = toTokenChunk(item);
          if (typeof chunk.finishReason === 'object') throw new DynamoError('unknown', chunk.finishReason.error, { origin: 'backend' });
          chunks.push(chunk);
        } catch (error) {
          failure = DynamoError.from(error);
          break;
        }
      }
      return chunks;
    },
    end() {
      if (failure !== undefined) throw failure;
      return [];
    },
    get done() {
      return failure !== undefined;
    },
  };
};
