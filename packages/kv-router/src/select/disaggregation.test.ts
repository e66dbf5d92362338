import { readFileSync } from 'node:fs';
import { decodeJson, decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TokenRequest } from '../request.ts';
import { decodeTokenRequest, encodeTokenRequest } from '../wire/preprocessed-request.ts';
import { defaultSettings, type RouterSettings } from '../wire/router-settings.ts';
import {
  bootstrapRoom,
  bypassAnnotation,
  bypassesPrefill,
  bypassRequest,
  decodeRequest,
  prefillRequest,
  readConditionalConfig,
  readPrefill,
  withoutBypass,
} from './disaggregation.ts';

const text = (name: string): string => readFileSync(new URL(`../../../../vectors/kv-router/${name}`, import.meta.url), 'utf8');
const frontend = decodeJson(text('disagg_frontend.json')) as any;
const captured = text('disagg_requests.jsonl')
  .trim()
  .split('\n')
  .map((line) => decodeJson(line) as { role: string; request: any; mode: string });

/** What the frontend had before it split the request: the captured one without everything that the split adds. */
function original(request: any, maxTokens: number): TokenRequest {
  const { router_config_override: _, bootstrap_info: _b, prefill_result: _p, ...rest } = request;
  const { prefill_worker_id: _w, dp_rank: _d, prefill_dp_rank: _r, ...routing } = request.routing;
  return decodeTokenRequest({ ...rest, annotations: [], routing, stop_conditions: { ...request.stop_conditions, max_tokens: maxTokens } });
}

/** As a worker reads it. Ids of the vectors are text. */
const received = (request: TokenRequest): unknown => decodeMsgpack(encodeMsgpack(encodeTokenRequest(request)));
const asWire = (request: any): unknown =>
  decodeMsgpack(
    encodeMsgpack({
      ...request,
      routing: {
        ...request.routing,
        ...(request.routing.prefill_worker_id === undefined ? {} : { prefill_worker_id: BigInt(request.routing.prefill_worker_id) }),
      },
      ...(request.bootstrap_info === undefined ? {} : { bootstrap_info: bootstrapWire(request.bootstrap_info) }),
    }),
  );
const bootstrapWire = (info: any): unknown => ({
  ...info,
  bootstrap_room: BigInt(info.bootstrap_room),
  handoff_id: Buffer.from(info.handoff_id.bytes_hex, 'hex'),
});
const bootstrapOf = (info: any) => ({
  host: info.bootstrap_host,
  port: info.bootstrap_port,
  room: BigInt(info.bootstrap_room),
  handoffId: Buffer.from(info.handoff_id.bytes_hex, 'hex'),
});

function half(request: any) {
  const { prefill_worker_id: id, dp_rank: rank } = request.routing;
  return { workerId: BigInt(id), ...(rank === undefined ? {} : { dpRank: rank }) };
}

const pairs: [string, { prefill: any; decode: any }, boolean][] = [
  ['kv mode', { prefill: frontend.kv_mode.prefill.request, decode: frontend.kv_mode.decode.request }, false],
  ['round-robin mode', { prefill: frontend.round_robin_mode.prefill.request, decode: frontend.round_robin_mode.decode.request }, false],
  ['conditional', { prefill: frontend.conditional.normal.prefill.request, decode: frontend.conditional.normal.decode.request }, true],
];

test.each(pairs)('%s: both halves are those of the real frontend', (_name, { prefill, decode }, conditional) => {
  const request = original(decode, decode.stop_conditions.max_tokens);
  const chosen = half(prefill);
  expect(received(prefillRequest(request, chosen))).toEqual(asWire(prefill));
  const result = {
    disaggregatedParams: decode.prefill_result.disaggregated_params,
    promptTokensDetails: decode.prefill_result.prompt_tokens_details,
  };
  const split = decodeRequest(request, { prefill: chosen, decodeRank: decode.routing.dp_rank }, { result, conditional });
  expect(received(split)).toEqual(asWire(decode));
});

test.each(captured.map((entry, at) => [at, entry.role, entry.mode, entry.request] as const))(
  'captured request %i (%s, %s) is made alike',
  (_at, role, mode, request) => {
    const before = original(request, request.stop_conditions.max_tokens);
    const chosen = half(request);
    if (role === 'prefill') {
      const bootstrap = mode === 'bootstrap' ? bootstrapOf(request.bootstrap_info) : undefined;
      expect(received(prefillRequest(before, chosen, bootstrap))).toEqual(asWire(request));
      return;
    }
    const from =
      mode === 'bootstrap'
        ? { bootstrap: bootstrapOf(request.bootstrap_info) }
        : {
            result: {
              disaggregatedParams: request.prefill_result.disaggregated_params,
              promptTokensDetails: request.prefill_result.prompt_tokens_details,
            },
          };
    expect(received(decodeRequest(before, { prefill: chosen, decodeRank: request.routing.dp_rank }, from))).toEqual(asWire(request));
  },
);

test('a bypass goes to the decode worker alone, and nobody else may ask for it', () => {
  const { request } = frontend.conditional.bypass_decode;
  const before = original(request, request.stop_conditions.max_tokens);
  expect(received(bypassRequest(before, request.routing.dp_rank))).toEqual(asWire(request));
  const asked = { ...before, annotations: ['query', bypassAnnotation] };
  expect(withoutBypass(asked).annotations).toEqual(['query']);
  expect(withoutBypass(before)).toBe(before);
});

const conditional: RouterSettings = { ...defaultSettings, conditionalDisagg: true, conditionalIslThreshold: 100 };
test.each(frontend.conditional.cases as { isl: number; cached_on_decode: number; bypass: boolean }[])(
  'bypass of $isl tokens with $cached_on_decode cached: $bypass',
  (row) => {
    expect(bypassesPrefill(conditional, { isl: row.isl, cachedTokens: row.cached_on_decode, prefillBusy: false })).toBe(row.bypass);
    expect(bypassesPrefill(defaultSettings, { isl: row.isl, cachedTokens: row.cached_on_decode, prefillBusy: true })).toBe(false);
  },
);

test('the load-aware policies bypass a busy prefill pool, unless the decode worker is full', () => {
  const byLoad: RouterSettings = { ...conditional, conditionalPolicy: 'prefill_load', conditionalPrefillBusy: 0.5, conditionalDecodeBusy: 0.9 };
  const cold = { isl: 1000, cachedTokens: 0 };
  expect(bypassesPrefill(byLoad, { ...cold, prefillBusy: true })).toBe(true);
  expect(bypassesPrefill(byLoad, { ...cold, prefillBusy: false })).toBe(false);
  expect(bypassesPrefill(byLoad, { ...cold, prefillBusy: true, decode: { blocks: 91, totalBlocks: 100 } })).toBe(false);
  expect(bypassesPrefill(byLoad, { ...cold, prefillBusy: true, decode: { blocks: 90, totalBlocks: 100 } })).toBe(true);
  const either: RouterSettings = { ...byLoad, conditionalPolicy: 'isl_or_load' };
  expect(bypassesPrefill(either, { isl: 100, cachedTokens: 90, prefillBusy: false })).toBe(true);
  expect(bypassesPrefill(either, { ...cold, prefillBusy: false })).toBe(false);
});

test('start-up errors are those of the real frontend', () => {
  const errors: string[] = frontend.conditional.startup_errors;
  const router = { kvEvents: true };
  const cases: [unknown, { kvEvents: boolean; queueThreshold?: number }, string][] = [
    [{}, { kvEvents: false }, errors[0] ?? ''],
    [{ policy: 'nope' }, router, errors[1] ?? ''],
    [{ policy: 'prefill_load' }, router, errors[2] ?? ''],
    [{ x: 1 }, router, errors[3] ?? ''],
    [{ eff_isl_threshold: -1 }, router, errors[4] ?? ''],
    [{ eff_isl_ratio_threshold: 1.5 }, router, errors[5] ?? ''],
    [{ eff_isl_threshold: 1.5 }, router, '--router-conditional-disagg-config eff_isl_threshold must be an integer'],
    [[], router, '--router-conditional-disagg-config must be a JSON object'],
  ];
  expect(errors).toHaveLength(6);
  for (const [config, around, message] of cases) expect(() => readConditionalConfig(config, around)).toThrow(message);
  expect(readConditionalConfig({ policy: 'prefill_load', decode_busy_threshold: 0.8 }, { kvEvents: true, queueThreshold: 0.5 })).toEqual({
    conditionalPolicy: 'prefill_load',
    conditionalDecodeBusy: 0.8,
  });
});

test('what a prefill says first decides what comes next', () => {
  const params = { kv_transfer_params: { remote_engine_id: 'e' } };
  expect(readPrefill({ tokenIds: [1], finishReason: 'length', extra: { disaggregated_params: params } })).toEqual({
    type: 'decode',
    disaggregatedParams: params,
  });
  expect(readPrefill({ tokenIds: [1], finishReason: 'stop', extra: { disaggregated_params: params, engine_data: 1 } })).toEqual({
    type: 'answer',
    chunk: { tokenIds: [1], finishReason: 'stop', extra: { engine_data: 1 } },
  });
  for (const first of [undefined, { tokenIds: [1] }, { tokenIds: [1], extra: { disaggregated_params: null } }]) {
    expect(() => readPrefill(first)).toThrow('Prefill router output missing disaggregated_params');
  }
});

test('a room says its rank by its remainder and fits in 63 bits', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, (1n << 64n) - 1n), fc.integer({ min: 1, max: 64 }), fc.nat(63), (random, dpSize, at) => {
      const dpRank = at % dpSize;
      const room = bootstrapRoom(random, { dpRank, dpSize });
      expect([room >= 0n && room < 1n << 63n, room % BigInt(dpSize)]).toEqual([true, BigInt(dpRank)]);
    }),
  );
});
