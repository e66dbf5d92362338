import type { BusyThresholds } from '@dynamo/kv-router';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { type BusyThresholdRequest, readBusyThresholdRequest } from '../../openai/busy-threshold.ts';
import { doubleText } from '../../openai/spelling.ts';
import { sendJson, sendText } from '../send.ts';
import type { RouteParts } from './parts.ts';

/** `GET /busy_threshold` and `POST /busy_threshold`: an operator's routes, without the shape of the others (spec llm 3.1). */
export function busyThresholdRoutes(server: FastifyInstance, parts: RouteParts): void {
  const { admin, paths } = parts.http;
  if (!admin) return;
  server.get(paths.busyThreshold, (_request, reply) => {
    const rows = parts.models.list().flatMap(({ id }) => {
      const model = parts.models.measured(id);
      return model === undefined ? [] : [thresholdsText(id, parts.models.thresholds.of(model))];
    });
    return sendJson(reply, `{"thresholds":[${rows.join(',')}]}`);
  });
  server.post(paths.busyThreshold, { config: { refusesInText: true } }, (request, reply) => setOrRead(String(request.body ?? ''), { reply, parts }));
}

function setOrRead(body: string, { reply, parts }: { reply: FastifyReply; parts: RouteParts }): FastifyReply {
  const read = readBusyThresholdRequest(body);
  if ('kind' in read && read.kind === 'syntax') return sendText(reply.code(400), `Failed to parse the request body as JSON: ${read.message}`);
  if ('kind' in read) return refuse(reply, 422, `Failed to deserialize the JSON body into the target type: ${read.message}`);
  const outside = outOfRange(read.value);
  if (outside !== undefined) return refuse(reply, 400, outside);
  const changes = changesOf(read.value);
  const model = parts.models.measured(read.value.model);
  if (Object.keys(changes).length > 0) {
    if (model === undefined) return refuse(reply, 404, `Model '${read.value.model}' not found. Thresholds can only be set for discovered models.`);
    parts.models.thresholds.set(model, changes);
  }
  return sendJson(reply, thresholdsText(read.value.model, model === undefined ? {} : parts.models.thresholds.of(model)));
}

/** A null member does not clear a threshold: it is as good as absent. */
function changesOf(request: BusyThresholdRequest): BusyThresholds {
  const { active_decode_blocks_threshold: decode, active_prefill_tokens_threshold: tokens, active_prefill_tokens_threshold_frac: part } = request;
  return {
    ...(decode === null || decode === undefined ? {} : { decodeBlocks: decode }),
    ...(tokens === null || tokens === undefined ? {} : { prefillTokens: Number(tokens) }),
    ...(part === null || part === undefined ? {} : { prefillFraction: part }),
  };
}

function outOfRange(request: BusyThresholdRequest): string | undefined {
  const { active_decode_blocks_threshold: decode, active_prefill_tokens_threshold_frac: part } = request;
  if (typeof decode === 'number' && (decode < 0 || decode > 1))
    return `active_decode_blocks_threshold must be between 0.0 and 1.0, got ${doubleText(decode)}`;
  if (typeof part === 'number' && part < 0)
    return `active_prefill_tokens_threshold_frac must be a finite value greater than or equal to 0.0, got ${doubleText(part)}`;
  return undefined;
}

function thresholdsText(model: string, { decodeBlocks, prefillTokens, prefillFraction }: BusyThresholds): string {
  const float = (value: number | undefined): string => (value === undefined ? 'null' : doubleText(value));
  const whole = prefillTokens === undefined ? 'null' : wholeText(prefillTokens);
  return (
    `{"model":${JSON.stringify(model)},"active_decode_blocks_threshold":${float(decodeBlocks)},` +
    `"active_prefill_tokens_threshold":${whole},"active_prefill_tokens_threshold_frac":${float(prefillFraction)}}`
  );
}

/** Beyond 2^53 a threshold is none that anything reaches; the largest is shown as it was given. */
const wholeText = (value: number): string =>
  Number.isSafeInteger(value) ? String(value) : String(BigInt.asUintN(64, BigInt(Math.min(value, 2 ** 64)) - 1n));

const refuse = (reply: FastifyReply, status: number, error: string): FastifyReply => sendJson(reply.code(status), JSON.stringify({ error }));
