import { DynamoError } from '@dynamo/runtime';
import { type Float, float } from '@dynamo/runtime/internal';
import type { OutputOptions, SamplingOptions, StopConditions, TokenRequest } from '../request.ts';
import { describe, object, type Wire } from './members.ts';

/** Ours beside theirs, for the three groups whose members differ by spelling alone (spec llm 2.1). */
const names = {
  stop: {
    maxTokens: 'max_tokens',
    minTokens: 'min_tokens',
    stop: 'stop',
    stopTokenIds: 'stop_token_ids',
    visibleStopTokenIds: 'stop_token_ids_visible',
    hiddenStopTokenIds: 'stop_token_ids_hidden',
    ignoreEos: 'ignore_eos',
    maxThinkingTokens: 'max_thinking_tokens',
  },
  sampling: {
    n: 'n',
    bestOf: 'best_of',
    presencePenalty: 'presence_penalty',
    frequencyPenalty: 'frequency_penalty',
    repetitionPenalty: 'repetition_penalty',
    temperature: 'temperature',
    topP: 'top_p',
    topK: 'top_k',
    minP: 'min_p',
    useBeamSearch: 'use_beam_search',
    lengthPenalty: 'length_penalty',
    seed: 'seed',
    includeStopStrInOutput: 'include_stop_str_in_output',
    guidedDecoding: 'guided_decoding',
  },
  output: {
    logprobs: 'logprobs',
    promptLogprobs: 'prompt_logprobs',
    skipSpecialTokens: 'skip_special_tokens',
    formattedPrompt: 'formatted_prompt',
    returnTokensAsTokenIds: 'return_tokens_as_token_ids',
    noStopTrim: 'no_stop_trim',
  },
} as const;

const known = new Set([
  'model',
  'token_ids',
  'stop_conditions',
  'sampling_options',
  'output_options',
  'eos_token_ids',
  'mdc_sum',
  'annotations',
  'routing',
]);

/**
 * Reads a tokenized request; unknown members are kept in `extra`, null counts as absent.
 *
 * @throws DynamoError `invalid_argument` naming the member that is missing or of the wrong type.
 */
export function decodeTokenRequest(value: unknown): TokenRequest {
  const wire = object(value);
  if (wire === undefined) throw new DynamoError('invalid_argument', 'the request is not an object');
  const tokenIds = wire['token_ids'];
  if (!isIds(tokenIds)) throw new DynamoError('invalid_argument', `token_ids must be an array of token ids, got ${describe(tokenIds)}`);
  if (typeof wire['model'] !== 'string') throw new DynamoError('invalid_argument', `model must be text, got ${describe(wire['model'])}`);
  const extra = Object.fromEntries(Object.entries(wire).filter(([name, member]) => !known.has(name) && member !== null && member !== undefined));
  const routing = object(wire['routing']);
  return {
    model: wire['model'],
    tokenIds,
    stop: group(wire['stop_conditions'], names.stop),
    sampling: group(wire['sampling_options'], names.sampling),
    output: group(wire['output_options'], names.output),
    ...(isIds(wire['eos_token_ids']) ? { eosTokenIds: wire['eos_token_ids'] } : {}),
    ...(typeof wire['mdc_sum'] === 'string' ? { cardChecksum: wire['mdc_sum'] } : {}),
    ...(Array.isArray(wire['annotations']) ? { annotations: wire['annotations'].map(String) } : {}),
    ...(routing === undefined ? {} : { routing }),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

function group<T extends Readonly<Record<string, string>>>(value: unknown, spelling: T): { [K in keyof T]?: never } {
  const wire = object(value) ?? {};
  const read: Wire = {};
  for (const [ours, theirs] of Object.entries(spelling)) if (wire[theirs] !== null && wire[theirs] !== undefined) read[ours] = wire[theirs];
  return read as { [K in keyof T]?: never };
}

const isIds = (value: unknown): value is number[] => Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 0);

/**
 * Writes a tokenized request with the members that are always there, absent ones as null, in the order in which 1.6.1
 * writes them (spec llm 2.1). Floats stay floats on the wire even when they are whole.
 */
export function encodeTokenRequest(request: TokenRequest): unknown {
  return {
    model: request.model,
    token_ids: request.tokenIds,
    stop_conditions: stopConditions(request.stop ?? nothing),
    sampling_options: samplingOptions(request.sampling ?? nothing),
    output_options: outputOptions(request.output ?? nothing),
    eos_token_ids: request.eosTokenIds ?? none,
    mdc_sum: request.cardChecksum ?? null,
    annotations: request.annotations ?? none,
    routing: request.routing ?? nothing,
    router_config_override: null,
    ...request.extra,
  };
}

const nothing: Readonly<Record<string, never>> = {};
const none: readonly never[] = [];

/** No stop conditions but the model's end: what most requests have. Made once per list of end ids. */
const plainStops = new WeakMap<readonly number[], Wire>();

function stopConditions(stop: StopConditions): Wire {
  const { hiddenStopTokenIds: ends } = stop;
  if (ends === undefined || Object.keys(stop).length > 1) return writeStop(stop);
  let plain = plainStops.get(ends);
  if (plain === undefined) plainStops.set(ends, (plain = writeStop(stop)));
  return plain;
}

const writeStop = (stop: StopConditions): Wire => ({
  max_tokens: stop.maxTokens ?? null,
  stop: stop.stop ?? null,
  stop_token_ids: stop.stopTokenIds ?? null,
  stop_token_ids_visible: stop.visibleStopTokenIds ?? null,
  stop_token_ids_hidden: stop.hiddenStopTokenIds ?? null,
  min_tokens: stop.minTokens ?? null,
  ignore_eos: stop.ignoreEos ?? null,
  max_thinking_tokens: stop.maxThinkingTokens ?? null,
});

const single = (value: number | undefined): Float | null => (value === undefined ? null : float(value));

const samplingOptions = (sampling: SamplingOptions): Wire => ({
  n: sampling.n ?? null,
  best_of: sampling.bestOf ?? null,
  presence_penalty: single(sampling.presencePenalty),
  frequency_penalty: single(sampling.frequencyPenalty),
  repetition_penalty: single(sampling.repetitionPenalty),
  temperature: single(sampling.temperature),
  top_p: single(sampling.topP),
  top_k: sampling.topK ?? null,
  min_p: single(sampling.minP),
  use_beam_search: sampling.useBeamSearch ?? null,
  length_penalty: single(sampling.lengthPenalty),
  seed: sampling.seed ?? null,
  include_stop_str_in_output: sampling.includeStopStrInOutput ?? null,
  guided_decoding: sampling.guidedDecoding ?? null,
});

const outputOptions = (output: OutputOptions): Wire => ({
  ...(output.noStopTrim === undefined ? {} : { no_stop_trim: output.noStopTrim }),
  logprobs: output.logprobs ?? null,
  prompt_logprobs: output.promptLogprobs ?? null,
  skip_special_tokens: output.skipSpecialTokens ?? null,
  formatted_prompt: output.formattedPrompt ?? null,
  return_tokens_as_token_ids: output.returnTokensAsTokenIds ?? null,
});
