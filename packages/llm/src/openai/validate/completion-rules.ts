import type { CompletionRequest, Prompt } from '../completions.ts';
import { refused } from '../failure.ts';
import {
  checkCount,
  checkDiversity,
  checkGuided,
  checkLogitBias,
  checkMaxTokens,
  checkModel,
  checkOthers,
  checkRange,
  checkSingleChoice,
  checkStop,
  checkStreamOptions,
  checkTopK,
  checkUser,
  choicesRange,
  ranges,
} from './rules.ts';

/** Bytes of a suffix, and of decoded embeddings (observed in 1.6.1). */
const limits = { suffix: 10_000, embeds: { least: 100, most: 10 * 1024 * 1024 } };

/** Most choices of all prompts together. */
const maxChoices = 128;

/**
 * Checks a completion request whose members have the right types, in 1.6.1's order (spec llm 3.2, step 4).
 *
 * @throws DynamoError `invalid_argument` with a public message.
 */
export function checkCompletion(request: CompletionRequest, others: readonly string[]): void {
  checkStreamOptions(request);
  checkOthers(request, others);
  checkGuided(request, (request.guided_json ?? null) !== null);
  checkModel(request.model);
  if (typeof request.prompt_embeds === 'string') checkEmbeds(request.prompt_embeds);
  else checkPrompt(request.prompt);
  if (Buffer.byteLength(request.suffix ?? '') > limits.suffix) throw refused(`Suffix is too long, maximum ${limits.suffix} characters`);
  checkOptions(request);
  const [prompts, n] = [promptCount(request.prompt), request.n ?? 1];
  if (prompts * n > maxChoices) {
    throw refused(`Total choices (batch_size × n = ${prompts} × ${n} = ${prompts * n}) exceeds maximum of ${maxChoices}`);
  }
  if ((request.add_generation_prompt ?? request.continue_final_message ?? null) !== null) {
    throw refused('`add_generation_prompt` and `continue_final_message` are only supported on /v1/chat/completions');
  }
}

function checkOptions(request: CompletionRequest): void {
  checkMaxTokens(request.max_tokens, 'Max tokens');
  checkRange(request.temperature, ranges.temperature);
  checkRange(request.top_p, ranges.topP);
  checkCount(request.n, choicesRange);
  checkSingleChoice(request.n, request.nvext);
  checkCount(request.logprobs, { name: 'Logprobs', low: 0, high: 5 });
  checkStop(request.stop);
  checkRange(request.presence_penalty, ranges.presencePenalty);
  checkRange(request.frequency_penalty, ranges.frequencyPenalty);
  checkBestOf(request.best_of, request.n);
  checkLogitBias(request.logit_bias);
  checkUser(request.user);
  checkRange(request.repetition_penalty, ranges.repetitionPenalty);
  checkRange(request.min_p, ranges.minP);
  checkTopK(request.top_k);
  checkDiversity(request.n, request.temperature);
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/;

function checkEmbeds(text: string): void {
  // The pattern's length check comes first: it would not match anyway, and it is linear in the text.
  if (text.length % 4 !== 0 || !base64.test(text)) throw refused('prompt_embeds must be valid base64-encoded data');
  const bytes = (text.length / 4) * 3 - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
  const { least, most } = limits.embeds;
  if (bytes < least) throw refused(`prompt_embeds decoded data must be at least ${least} bytes, got ${bytes} bytes`);
  if (bytes > most) throw refused(`prompt_embeds decoded data exceeds maximum size of 10MB, got ${bytes} bytes`);
}

function checkPrompt(prompt: Prompt): void {
  if (typeof prompt === 'string') {
    if (prompt === '') throw refused('Prompt string cannot be empty');
    return;
  }
  if (prompt.length === 0) throw refused('Prompt string array cannot be empty');
  if (typeof prompt[0] === 'number') return;
  const empty = (prompt as readonly (string | readonly number[])[]).findIndex((item) => item.length === 0);
  if (empty === -1) return;
  throw refused(`Prompt ${typeof prompt[0] === 'string' ? 'string' : 'integer array'} at index ${empty} cannot be empty`);
}

const promptCount = (prompt: Prompt): number => (typeof prompt === 'string' || typeof prompt[0] === 'number' ? 1 : prompt.length);

function checkBestOf(bestOf: number | null | undefined, n: number | null | undefined): void {
  if (bestOf === undefined || bestOf === null) return;
  checkCount(bestOf, { name: 'Best_of', low: 0, high: 20 });
  if (typeof n === 'number' && bestOf < n) throw refused(`Best_of must be greater than or equal to n, got best_of=${bestOf} and n=${n}`);
}
