import type { TokenChunk, TokenRequest } from '@dynamo/kv-router';
import type { Handler } from '@dynamo/runtime';

/** An engine: a function from a tokenized request to a stream of tokens. */
export type Engine = Handler<TokenRequest, TokenChunk>;
