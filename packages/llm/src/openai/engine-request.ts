import { float } from '@dynamo/runtime/internal';
import type { OutputOptions, SamplingOptions, StopConditions, TokenRequest } from '@dynamo/kv-router';
import type { ChatRequest } from './chat.ts';
import type { CompletionRequest } from './completions.ts';
import { guidedDecoding, mustCall } from './guided.ts';
import { needsSpecialTokens, reasons } from './parser-traits.ts';
import { cacheSalt, routingOf } from './routing.ts';
import { asksThinking, templateVariables } from '../template/variables.ts';

/** What a request's translation needs to know of the model. */
export interface RequestModel {
  readonly name: string;
  readonly eosTokenIds: readonly number[];
  readonly cardChecksum: string;
  /** The adapter that the request is for. */
  readonly adapter?: string;
  /** Names of the parsers that the card sets (spec llm 6). */
  readonly toolParser?: string;
  readonly reasoningParser?: string;
}

type AnyRequest = ChatRequest | CompletionRequest;

/**
 * Translates a validated request into what the engine is told, all but the prompt's tokens (spec llm 2.1).
 *
 * @throws DynamoError `invalid_argument` when a call is required and the output is constrained otherwise too.
 */
export function engineRequest(request: AnyRequest, model: RequestModel): Omit<TokenRequest, 'tokenIds'> {
  const ignoreEos = request.ignore_eos === true;
  const extra = extraOf(request, model);
  return {
    model: model.name,
    stop: ignoreEos ? withoutEnds(request) : stopConditions(request, model.eosTokenIds),
    sampling: samplingOptions(request),
    output: outputOptions(request, model),
    eosTokenIds: ignoreEos ? none : model.eosTokenIds,
    cardChecksum: model.cardChecksum,
    annotations: request.nvext?.annotations ?? none,
    routing: routingOf(request, model.adapter),
    ...(extra === undefined ? {} : { extra }),
  };
}

const none: readonly never[] = [];
const isChat = (request: AnyRequest): request is ChatRequest => 'messages' in request;

/** Limits alone: with `ignore_eos` nothing that the model says ends the answer. */
function withoutEnds(request: AnyRequest): StopConditions {
  const stop: StopConditions = {};
  const maxTokens = (isChat(request) ? request.max_completion_tokens : undefined) ?? request.max_tokens;
  const maxThinking = maxThinkingTokens(request);
  if (typeof maxTokens === 'number') stop.maxTokens = maxTokens;
  if (typeof request.min_tokens === 'number') stop.minTokens = request.min_tokens;
  if (typeof request.ignore_eos === 'boolean') stop.ignoreEos = request.ignore_eos;
  if (maxThinking !== undefined) stop.maxThinkingTokens = maxThinking;
  return stop;
}

function stopConditions(request: AnyRequest, eosTokenIds: readonly number[]): StopConditions {
  const stop = withoutEnds(request);
  const given = request.stop ?? undefined;
  stop.hiddenStopTokenIds = eosTokenIds;
  if (typeof given === 'string') stop.stop = [given];
  else if (given !== undefined && typeof given[0] === 'string') stop.stop = given as readonly string[];
  const ids = given !== undefined && typeof given[0] === 'number' ? (given as readonly number[]) : request.stop_token_ids;
  if (ids !== undefined && ids !== null) stop.stopTokenIds = ids;
  return stop;
}

const maxThinkingTokens = (request: AnyRequest): number | undefined =>
  (isChat(request) ? request.thinking_token_budget : undefined) ?? request.nvext?.max_thinking_tokens ?? undefined;

function samplingOptions(request: AnyRequest): SamplingOptions {
  const options: SamplingOptions = {};
  const greedy = request.nvext?.greed_sampling === true;
  const single = (value: number | null | undefined): number | undefined => (typeof value === 'number' ? Math.fround(value) : undefined);
  const put = <K extends keyof SamplingOptions>(name: K, value: SamplingOptions[K] | null | undefined): void => {
    if (value !== undefined && value !== null) options[name] = value;
  };
  put('n', request.n);
  put('bestOf', isChat(request) ? undefined : request.best_of);
  put('presencePenalty', single(request.presence_penalty));
  put('frequencyPenalty', single(request.frequency_penalty));
  put('repetitionPenalty', single(request.repetition_penalty));
  put('temperature', greedy ? undefined : single(request.temperature));
  put('topP', greedy ? undefined : single(request.top_p));
  put('topK', request.top_k === 0 ? -1 : request.top_k);
  put('minP', single(request.min_p));
  put('seed', request.seed);
  put('includeStopStrInOutput', request.include_stop_str_in_output);
  const guided = guidedDecoding(request);
  if (guided !== undefined) options.guidedDecoding = guided;
  return options;
}

function outputOptions(request: AnyRequest, model: RequestModel): OutputOptions {
  const output: OutputOptions = {};
  const logprobs = isChat(request) ? (request.logprobs === true ? (request.top_logprobs ?? 1) : undefined) : request.logprobs;
  const promptLogprobs = request.prompt_logprobs ?? (!isChat(request) && request.echo === true ? 1 : undefined);
  const skip = request.skip_special_tokens ?? (needsSpecialTokens(model) ? false : undefined);
  if (typeof logprobs === 'number') output.logprobs = logprobs;
  if (typeof promptLogprobs === 'number') output.promptLogprobs = promptLogprobs;
  if (typeof skip === 'boolean') output.skipSpecialTokens = skip;
  if (typeof request.return_tokens_as_token_ids === 'boolean') output.returnTokensAsTokenIds = request.return_tokens_as_token_ids;
  if (!isChat(request) && typeof request.no_stop_trim === 'boolean') output.noStopTrim = request.no_stop_trim;
  return output;
}

/** The variables of a chat's template, which its worker is told too. */
export const variablesOf = (request: ChatRequest, { reasoningParser }: Pick<RequestModel, 'reasoningParser'>): ReturnType<typeof templateVariables> =>
  templateVariables(request, { reasoningParser, constrained: isConstrained(request) });

/** The wire members that only some requests have. */
function extraOf(request: AnyRequest, model: RequestModel): Readonly<Record<string, unknown>> | undefined {
  const chat = isChat(request) ? request : undefined;
  const args = chat === undefined ? undefined : variablesOf(chat, model);
  const extra: Record<string, unknown> = {};
  if (!isChat(request) && typeof request.prompt_embeds === 'string') extra['prompt_embeds'] = request.prompt_embeds;
  const engineArgs = extraArgs(request, model.reasoningParser === undefined ? undefined : args);
  if (engineArgs !== undefined) extra['extra_args'] = engineArgs;
  const effort = chat?.reasoning_effort ?? undefined;
  if (wantsReasoning(request) && reasons(model.reasoningParser, asksThinking(args), effort)) extra['require_reasoning'] = true;
  const router = request.nvext?.router;
  if (router !== undefined && router !== null) extra['router'] = floats(router);
  if ((chat?.mm_processor_kwargs ?? null) !== null) extra['mm_processor_kwargs'] = chat?.mm_processor_kwargs;
  if ((chat?.media_io_kwargs ?? null) !== null) extra['media_io_kwargs'] = chat?.media_io_kwargs;
  const timestamp = request.nvext?.request_timestamp_ms;
  if (typeof timestamp === 'number') extra['request_timestamp_ms'] = float(timestamp);
  return Object.keys(extra).length > 0 ? extra : undefined;
}

const floats = (values: Readonly<Record<string, number | null>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[name, float(value)]])));

/** A constraint on the output must not hold back the model's thoughts, and a budget needs someone who counts. */
function wantsReasoning(request: AnyRequest): boolean {
  if (maxThinkingTokens(request) !== undefined) return true;
  return isChat(request) && isConstrained(request);
}

const isConstrained = (request: ChatRequest): boolean =>
  mustCall(request) || request.response_format?.type === 'json_object' || request.response_format?.type === 'json_schema';

function extraArgs(request: AnyRequest, templateKwargs: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> | undefined {
  const args: Record<string, unknown> = {};
  const nvext = nvextArgs(request);
  if (nvext !== undefined) args['nvext'] = nvext;
  const sampling: Record<string, unknown> = {};
  for (const name of ['detokenize', 'allowed_token_ids', 'bad_words_token_ids'] as const) {
    if ((request[name] ?? null) !== null) sampling[name] = request[name];
  }
  if (Object.keys(sampling).length > 0) args['sampling_options'] = sampling;
  if (templateKwargs !== undefined) args['reasoning_parser_kwargs'] = { chat_template_kwargs: templateKwargs };
  return Object.keys(args).length > 0 ? args : undefined;
}

function nvextArgs(request: AnyRequest): Record<string, unknown> | undefined {
  const nvext = request.nvext ?? {};
  const salt = cacheSalt(request);
  const args: Record<string, unknown> = {};
  if ((nvext.extra_fields ?? null) !== null) args['extra_fields'] = nvext.extra_fields;
  if ((nvext.metadata_upload ?? null) !== null) args['metadata_upload'] = nvext.metadata_upload;
  if ((nvext.token_data ?? null) !== null) args['token_in'] = true;
  if (salt !== undefined) args['cache_salt'] = salt;
  return Object.keys(args).length > 0 ? args : undefined;
}
