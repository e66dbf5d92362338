import type { FastifyInstance } from 'fastify';
import { parseClassifyRequest, parsePoolingRequest, type PoolingEncoding } from '../../openai/pooling.ts';
import { bytesOf, vectorText } from '../../openai/vectors-text.ts';
import { wireRequest } from '../../openai/wire-form.ts';
import type { ClassifyEntry, ListAnswer, PoolingEntry, VectorUsage } from '../../openai/worker-answers.ts';
import { AnswerFailed } from '../answer-failed.ts';
import { failure } from '../errors.ts';
import { sendJson } from '../send.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import { beginWhole, gather } from '../whole-route.ts';
import type { RouteParts } from './parts.ts';

/** `POST /v1/classify` and `POST /v1/pooling` (spec llm 2.6, 3.1). */
export function poolingRoutes(server: FastifyInstance, parts: RouteParts): void {
  textRoute(server, parts, { path: parts.http.paths.classify, surface: 'classify', answer: classify });
  textRoute(server, parts, { path: parts.http.paths.pooling, surface: 'pooling', answer: pool });
}

async function classify(exchange: TextExchange): Promise<void> {
  const asked = parseClassifyRequest(String(exchange.request.body ?? ''));
  const model = beginWhole(exchange, { model: asked.model, surface: 'classify', endpoint: 'classify' });
  const answer = joined(await gather(exchange, { model, kind: 'classify', wire: wireRequest(asked) }), 'classify');
  void sendJson(exchange.reply, listText(answer, answer.data.map(classText)));
}

async function pool(exchange: TextExchange): Promise<void> {
  const asked = parsePoolingRequest(String(exchange.request.body ?? ''));
  const model = beginWhole(exchange, { model: asked.model, surface: 'pooling', endpoint: 'pooling' });
  const answer = joined(await gather(exchange, { model, kind: 'pooling', wire: wireRequest(asked) }), 'pooling');
  if (asked.encoding_format === 'bytes' || asked.encoding_format === 'bytes_only') sendBytes(exchange, answer, asked.encoding_format);
  else void sendJson(exchange.reply, listText(answer, answer.data.map(poolingText)));
}

/** What several chunks say together: entries and counts add up, the first one names itself. */
function joined<Entry>(answers: readonly ListAnswer<Entry>[], unnamed: string): ListAnswer<Entry> & { usage: Required<VectorUsage> } {
  const [first = { id: '', object: 'list', created: 0, model: unnamed }] = answers;
  const sum = (count: (usage: VectorUsage) => number): number => answers.reduce((total, { usage }) => total + count(usage), 0);
  return {
    ...first,
    data: answers.flatMap(({ data }) => data),
    usage: {
      prompt_tokens: sum((usage) => usage.prompt_tokens),
      total_tokens: sum((usage) => usage.total_tokens),
      completion_tokens: sum((usage) => usage.completion_tokens ?? 0),
    },
  };
}

const listText = (answer: ListAnswer<unknown>, entries: readonly string[]): string =>
  `{"id":${JSON.stringify(answer.id)},"object":${JSON.stringify(answer.object)},"created":${answer.created},"model":${JSON.stringify(answer.model)},` +
  `"data":[${entries.join(',')}],"usage":${JSON.stringify(answer.usage)}}`;

const classText = ({ index, label, probs, num_classes: classes }: ClassifyEntry): string =>
  `{"index":${index},"label":${JSON.stringify(label ?? null)},"probs":${vectorText(probs)},"num_classes":${classes}}`;

const poolingText = ({ index, object = 'pooling', data }: PoolingEntry): string =>
  `{"index":${index},"object":${JSON.stringify(object)},"data":${dataText(data)}}`;

function dataText(data: PoolingEntry['data']): string {
  if (typeof data === 'string') return JSON.stringify(data);
  return typeof data[0] === 'object'
    ? `[${(data as readonly (readonly number[])[]).map(vectorText).join(',')}]`
    : vectorText(data as readonly number[]);
}

/** Vectors as they are in memory, one behind the other; `bytes` tells in a header what the body is made of. */
function sendBytes({ reply }: TextExchange, answer: ListAnswer<PoolingEntry>, format: PoolingEncoding): void {
  const parts = answer.data.map(({ data }) => (typeof data === 'string' ? bytesOf(data) : undefined));
  const described = format === 'bytes' ? metadataOf(answer) : undefined;
  if (parts.includes(undefined) || (format === 'bytes' && described === undefined))
    throw new AnswerFailed(failure(500, 'Failed to build pooling binary response'), new Error("the worker's vectors are no base64"));
  if (described !== undefined) reply.header('metadata', described);
  void reply.header('content-type', 'application/octet-stream').send(Buffer.concat(parts as Buffer[]));
}

/** The header beside the bytes; undefined where entries would have to be described, which 1.6.1 can't from what workers send. */
function metadataOf({ id, created, model, data, usage }: ListAnswer<PoolingEntry>): string | undefined {
  if (data.length > 0) return undefined;
  const { prompt_tokens: prompt, total_tokens: total } = usage;
  const text = `{"id":${JSON.stringify(id)},"created":${created},"model":${JSON.stringify(model)},"data":[],"usage":{"prompt_tokens":${prompt},"total_tokens":${total}}}`;
  // Characters that a header can't carry are escaped, as JSON may.
  return text.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
