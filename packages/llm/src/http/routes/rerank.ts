import { encodeJsonText } from '@dynamo/runtime/internal';
import type { FastifyInstance } from 'fastify';
import { parseRerankRequest } from '../../openai/rerank.ts';
import { numberText } from '../../openai/vectors-text.ts';
import { wireRequest } from '../../openai/wire-form.ts';
import type { RerankEntry } from '../../openai/worker-answers.ts';
import { sendJson } from '../send.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import { beginWhole, gather } from '../whole-route.ts';
import type { RouteParts } from './parts.ts';

/** `POST /v1/rerank`: documents in the worker's order, as a list (spec llm 2.6, 3.1). */
export const rerankRoute = (server: FastifyInstance, parts: RouteParts): void =>
  textRoute(server, parts, { path: parts.http.paths.rerank, surface: 'rerank', answer: rerank, refusesInText: true });

async function rerank(exchange: TextExchange): Promise<void> {
  const asked = parseRerankRequest(String(exchange.request.body ?? ''));
  const model = beginWhole(exchange, { model: asked.model, surface: 'rerank', endpoint: 'rerank' });
  const entries = (await gather(exchange, { model, kind: 'rerank', wire: wireRequest(asked) })).flat();
  void sendJson(exchange.reply, `[${entries.map(entryText).join(',')}]`);
}

function entryText({ score, index, document, meta_info: meta }: RerankEntry): string {
  const rest = `${document === null || document === undefined ? '' : `,"document":${JSON.stringify(document)}`}${
    meta === null || meta === undefined ? '' : `,"meta_info":${encodeJsonText(meta)}`
  }`;
  return `{"score":${numberText(score)},"index":${index}${rest}}`;
}
