import { DynamoError } from '@dynamo/runtime';
import type { FastifyInstance } from 'fastify';
import type { AnyModel, ServingModel, TextModel } from '../../frontend/serving-model.ts';
import { type EmbeddingRequest, inputsOf, parseEmbeddingRequest, truncationOf } from '../../openai/embeddings.ts';
import { vectorOf, vectorText } from '../../openai/vectors-text.ts';
import { wireRequest } from '../../openai/wire-form.ts';
import type { VectorUsage } from '../../openai/worker-answers.ts';
import { AnswerFailed } from '../answer-failed.ts';
import type { Asking } from '../asking.ts';
import { failure } from '../errors.ts';
import { sendJson } from '../send.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import { beginWhole, gather } from '../whole-route.ts';
import type { RouteParts } from './parts.ts';

/** `POST /v1/embeddings` (spec llm 2.7, 3.1). */
export const embeddingsRoute = (server: FastifyInstance, parts: RouteParts): void =>
  textRoute(server, parts, { path: parts.http.paths.embeddings, surface: 'embedding', answer: embed });

/** One vector with its place in the request. */
interface Vector {
  readonly index: number;
  readonly object: string;
  readonly embedding: string | readonly number[];
}

const embed = async (exchange: TextExchange): Promise<void> =>
  void sendJson(exchange.reply, await embeddingText(exchange, String(exchange.request.body ?? '')));

/** Answers an embedding request with its JSON. */
export async function embeddingText(exchange: Asking, body: string): Promise<string> {
  const started = performance.now();
  const asked = parseEmbeddingRequest(body);
  const model = beginWhole(exchange, { model: asked.model, surface: 'embedding', endpoint: 'embeddings' });
  const answer = model.input === 'tokens' ? await fromTokens(exchange, asked, model) : await fromText(exchange, asked, model);
  const text = asked.encoding_format === 'base64' ? encoded : numbers(model);
  const data = answer.vectors.map((vector) => `{"index":${vector.index},"object":${JSON.stringify(vector.object)},"embedding":${text(vector)}}`);
  exchange.parts.metrics.embedded(model.name, (performance.now() - started) / 1_000);
  return `{"object":"list","model":${JSON.stringify(answer.model)},"data":[${data.join(',')}],"usage":${JSON.stringify(answer.usage)}}`;
}

interface Answer {
  readonly model: string;
  readonly vectors: readonly Vector[];
  readonly usage: VectorUsage;
}

/** The name that an answer without any chunk has (observed in 1.6.1). */
const unnamed = 'embedding';

async function fromTokens(exchange: Asking, asked: EmbeddingRequest, model: ServingModel): Promise<Answer> {
  const limit = truncationOf(asked, model.card.context_length);
  const encode = asked.add_special_tokens === false ? model.encode : model.encodeWhole;
  // Token ids are the client's own: they are not cut (observed in 1.6.1).
  const inputs = await Promise.all(
    inputsOf(asked.input).map(async (input) => (typeof input === 'string' ? (await encode(input)).slice(0, limit) : input)),
  );
  const given = wireRequest({ encoding_format: asked.encoding_format, truncate_prompt_tokens: asked.truncate_prompt_tokens });
  const wire = {
    token_ids: inputs,
    model: model.name,
    ...given,
    dimensions: asked.dimensions ?? null,
    mdc_sum: model.cardChecksum,
    annotations: asked.nvext?.annotations ?? [],
  };
  const chunks = await gather(exchange, { model, kind: 'embeddingChunk', wire });
  return {
    model: chunks.length === 0 ? unnamed : model.name,
    vectors: chunks.flatMap(({ embeddings }) => embeddings.map((embedding, index) => ({ index, object: 'embedding', embedding }))),
    usage: added(chunks),
  };
}

async function fromText(exchange: Asking, asked: EmbeddingRequest, model: TextModel): Promise<Answer> {
  const answers = await gather(exchange, { model, kind: 'embeddings', wire: wireRequest(asked) });
  return {
    model: answers[0]?.model ?? unnamed,
    vectors: answers.flatMap(({ data }) => data),
    usage: added(answers.map(({ usage }) => usage)),
  };
}

const added = (counts: readonly VectorUsage[]): VectorUsage => ({
  prompt_tokens: counts.reduce((sum, { prompt_tokens: tokens }) => sum + tokens, 0),
  total_tokens: counts.reduce((sum, { total_tokens: tokens }) => sum + tokens, 0),
});

/** Base64 as the worker sent it, unread; numbers stay numbers. */
const encoded = ({ embedding }: Vector): string => (typeof embedding === 'string' ? JSON.stringify(embedding) : vectorText(embedding));

const numbers =
  ({ input }: AnyModel) =>
  ({ embedding }: Vector): string => {
    const vector = typeof embedding === 'string' ? vectorOf(embedding) : embedding;
    if (vector !== undefined) return vectorText(vector);
    const cause = new DynamoError('unknown', "the worker's embedding is no base64 of float32", { origin: 'backend' });
    throw new AnswerFailed(failure(500, input === 'text' ? 'Failed to decode embedding payload' : 'Internal server error'), cause);
  };
