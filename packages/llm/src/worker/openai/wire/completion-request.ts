import type { TokenRequest } from '@dynamo/kv-router';
import { objectOf, setMembers, textAt } from './members.ts';

/** Members of an OpenAI completion request, or what it constrains its output to, by the name that vLLM gives it. */
const guidedNames = ['json', 'regex', 'choice', 'grammar'] as const;

/**
 * A tokenized request as `POST /v1/completions` takes it: the prompt as token ids, streamed, with the usage at the end.
 *
 * `return_token_ids` asks for the ids of the answer (vLLM); servers that don't know it pass over it, and answer with text.
 */
export function completionRequest(
  request: TokenRequest,
  options: { readonly model: string; readonly contextLength?: number | undefined },
): Record<string, unknown> {
  const { tokenIds, stop = {}, sampling = {}, output = {}, routing = {} } = request;
  // Without a limit, servers take one of their own: 16 tokens with vLLM.
  const room = options.contextLength === undefined ? undefined : Math.max(1, options.contextLength - tokenIds.length);
  return setMembers({
    model: textAt(routing, 'lora_name') ?? options.model,
    prompt: tokenIds,
    stream: true,
    stream_options: { include_usage: true },
    return_token_ids: true,
    max_tokens: stop.maxTokens ?? room,
    min_tokens: stop.minTokens,
    stop: stop.stop === undefined || stop.stop.length === 0 ? undefined : stop.stop,
    stop_token_ids: stop.stopTokenIds === undefined || stop.stopTokenIds.length === 0 ? undefined : stop.stopTokenIds,
    ignore_eos: stop.ignoreEos === true ? true : undefined,
    n: sampling.n,
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    seed: typeof sampling.seed === 'bigint' ? Number(sampling.seed) : sampling.seed,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    repetition_penalty: sampling.repetitionPenalty,
    include_stop_str_in_output: sampling.includeStopStrInOutput === true ? true : undefined,
    structured_outputs: guided(sampling.guidedDecoding),
    skip_special_tokens: output.skipSpecialTokens,
    cache_salt: textAt(routing, 'cache_salt'),
    ...(output.logprobs === undefined ? {} : { logprobs: output.logprobs, return_tokens_as_token_ids: true }),
  });
}

function guided(value: unknown): Record<string, unknown> | undefined {
  const wire = objectOf(value);
  const entries = guidedNames.flatMap((name) => (wire?.[name] === undefined || wire[name] === null ? [] : [[name, wire[name]] as const]));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** The client's own request for an upstream that takes text: its own name of the model, always streamed. */
export const passedRequest = (request: Readonly<Record<string, unknown>>, model: string): Record<string, unknown> => ({
  ...setMembers(request),
  model,
  stream: true,
  stream_options: { ...objectOf(request['stream_options']), include_usage: true },
});
