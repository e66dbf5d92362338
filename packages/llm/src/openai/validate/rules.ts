import { Float } from '@dynamo/runtime/internal';
import type { CommonRequest, StreamOptions } from '../common-fields.ts';
import { publicFailure, refused } from '../failure.ts';
import type { NvExt } from '../nvext.ts';
import { debugText, singleText } from '../spelling.ts';

/** The rules of spec llm 3.2 that chat and completion requests share. Each throws at the first value it refuses. */

/** White space as Rust's `trim` knows it: JavaScript's differs in two characters. */
const blank = /^\p{White_Space}*$/u;

/** Whether a text has nothing to read. */
export const isBlank = (text: string): boolean => blank.test(text);

/** Members without a type that are passed on, and what they must be, in the order in which 1.6.1 looks at them. */
const passedOn: readonly (readonly [keyof CommonRequest, (value: unknown) => boolean, string])[] = [
  ['cache_salt', (value) => typeof value === 'string', 'a string'],
  ['stop_token_ids', isIds, 'an array of token IDs'],
  ['detokenize', (value) => typeof value === 'boolean', 'a boolean'],
  ['allowed_token_ids', isIds, 'an array of token IDs'],
  ['bad_words_token_ids', (value) => Array.isArray(value) && value.every(isIds), 'an array of token ID arrays'],
];
const passedOnNames: ReadonlySet<string> = new Set(passedOn.map(([name]) => name));

function isIds(value: unknown): boolean {
  return Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 0 && id < 2 ** 32 && !Object.is(id, -0));
}

/** Refuses members that nobody knows. */
export function checkOthers(request: CommonRequest, others: readonly string[]): void {
  if (others.length === 0) return;
  const unsupported = others.filter((name) => !passedOnNames.has(name));
  if (unsupported.length > 0) throw refused(`Unsupported parameter(s): ${unsupported.map((name) => `\`${name}\``).join(', ')}`);
  for (const [name, holds, kind] of passedOn) {
    const value = request[name];
    if (value !== undefined && value !== null && !holds(value)) throw refused(`\`${name}\` must be ${kind}`);
  }
}

/** Usage figures are for streams only. */
export function checkStreamOptions(request: { stream?: boolean | null; stream_options?: StreamOptions | null }): void {
  if ((request.stream_options ?? null) !== null && request.stream !== true) {
    throw refused("The 'stream_options' field is only allowed when 'stream' is set to true.");
  }
}

/** At most one constraint on the output; `json` says whether there is a schema from anywhere. */
export function checkGuided(request: CommonRequest, json: boolean): void {
  const received: string[] = [];
  if (json) received.push('json');
  if (typeof request.guided_regex === 'string') received.push('regex');
  if ((request.guided_choice?.length ?? 0) > 0) received.push('choice');
  if (typeof request.guided_grammar === 'string') received.push('grammar');
  if (received.length < 2) return;
  throw publicFailure('invalid_argument', `Only one guided-decoding constraint can be set; received: ${received.join(', ')}`);
}

/** A model must be named. */
export function checkModel(model: string): void {
  if (isBlank(model)) throw refused('Model cannot be empty');
}

/** A user's id may not be blank. */
export function checkUser(user: string | null | undefined): void {
  if (typeof user === 'string' && isBlank(user)) throw refused('User ID cannot be empty');
}

/** Limits of one number. */
export interface Range {
  /** What the message calls it. */
  readonly name: string;
  readonly low: number;
  readonly high: number;
  /** Whether `low` itself is refused. */
  readonly open?: boolean;
}

type RangeName = 'temperature' | 'topP' | 'minP' | 'frequencyPenalty' | 'presencePenalty' | 'repetitionPenalty';

/** The ranges of the float32 options. */
export const ranges: Readonly<Record<RangeName, Range>> = {
  temperature: { name: 'Temperature', low: 0, high: 2 },
  topP: { name: 'Top_p', low: 0, high: 1, open: true },
  minP: { name: 'Min_p', low: 0, high: 1 },
  frequencyPenalty: { name: 'Frequency penalty', low: -2, high: 2 },
  presencePenalty: { name: 'Presence penalty', low: -2, high: 2 },
  repetitionPenalty: { name: 'Repetition penalty', low: 0, high: 2, open: true },
};

/** Checks a float32 option. */
export function checkRange(value: number | null | undefined, { name, low, high, open = false }: Range): void {
  if (value === undefined || value === null) return;
  const single = Math.fround(value);
  if (single > high || single < low || (open && single === low)) {
    throw refused(`${name} must be between ${low} and ${high}, got ${singleText(single)}`);
  }
}

/** Checks an integer option. */
export function checkCount(value: number | null | undefined, { name, low, high }: Range): void {
  if (value !== undefined && value !== null && (value < low || value > high))
    throw refused(`${name} must be between ${low} and ${high}, got ${value}`);
}

/** Choices per prompt (spec llm 3.2). */
export const choicesRange: Range = { name: 'n', low: 1, high: 128 };

/** A limit of tokens may not be zero. */
export function checkMaxTokens(value: number | null | undefined, name: string): void {
  if (value === 0) throw refused(`${name} must be greater than 0, got 0`);
}

/** `-1` and `0` stand for all tokens. */
export function checkTopK(value: number | null | undefined): void {
  if (typeof value === 'number' && value < -1) throw refused('Top_k must be null or greater than or equal to -1');
}

const maxTokenId = 2 ** 32 - 1;

/** Biases are for token ids, between -100 and 100. */
export function checkLogitBias(biases: Readonly<Record<string, unknown>> | null | undefined): void {
  for (const token in biases ?? {}) {
    if (!/^\+?\d+$/.test(token) || Number(token) > maxTokenId) throw refused('Logit bias key must be a non-negative 32-bit integer token id');
    const value = biases?.[token];
    const bias = value instanceof Float ? value.value : value;
    if (typeof bias !== 'number' && typeof bias !== 'bigint') {
      throw refused(`Logit bias value for token '${token}' must be a number, got ${debugText(value)}`);
    }
    const single = Math.fround(Number(bias));
    if (single < -100 || single > 100) throw refused(`Logit bias for token '${token}' must be between -100 and 100, got ${singleText(single)}`);
  }
}

/** Most stop strings or stop ids (observed in 1.6.1). */
const maxStops = 32;

/** Stop strings or stop ids: some, not too many, none empty. */
export function checkStop(stop: string | readonly string[] | readonly number[] | null | undefined): void {
  if (stop === undefined || stop === null) return;
  if (typeof stop === 'string') {
    if (stop === '') throw refused('Stop sequence cannot be empty');
    return;
  }
  if (stop.length === 0) throw refused('Stop sequences array cannot be empty');
  const kind = typeof stop[0] === 'number' ? 'token IDs' : 'sequences';
  if (stop.length > maxStops) throw publicFailure('invalid_argument', `Maximum of ${maxStops} stop ${kind} allowed, got ${stop.length}`);
  const empty = (stop as readonly unknown[]).indexOf('');
  if (empty !== -1) throw refused(`Stop sequence at index ${empty} cannot be empty`);
}

/** Several choices at temperature 0 would all be the same. */
export function checkDiversity(n: number | null | undefined, temperature: number | null | undefined): void {
  if (typeof n === 'number' && n > 1 && typeof temperature === 'number' && Math.fround(temperature) === 0) {
    throw refused(
      `When n > 1, temperature must be greater than 0 to ensure diverse outputs. Got n=${n}, temperature=${singleText(Math.fround(temperature))}`,
    );
  }
}

/** Completion token ids are given back for a single choice only. */
export function checkSingleChoice(n: number | null | undefined, nvext: NvExt | null | undefined): void {
  if ((n ?? 1) !== 1 && nvext?.extra_fields?.includes('completion_token_ids') === true) {
    throw refused('`nvext.extra_fields=["completion_token_ids"]` requires exactly one generated choice');
  }
}
