import { Float } from '@dynamo/runtime/internal';

/** The members of a chat request that set variables of the template, under their wire names. */
export interface ThinkingRequest {
  readonly chat_template_args?: Readonly<Record<string, unknown>> | null | undefined;
  /** Another name of `chat_template_args`. */
  readonly chat_template_kwargs?: Readonly<Record<string, unknown>> | null | undefined;
  readonly reasoning_effort?: unknown;
  readonly thinking?: unknown;
}

type Variables = Record<string, unknown>;

/**
 * The request's own variables of the template, with every spelling of thinking on or off brought into line (spec llm 4;
 * ranks and spellings observed in 1.6.1).
 *
 * A clear word writes all of `thinking`, `enable_thinking` and `thinking_mode`: in this order the request's `thinking`,
 * a boolean `thinking` or `enable_thinking` among the variables, `thinking_mode` enabled or disabled, and an effort.
 * Without one, the first of the three variables that can be read as a boolean writes `thinking` and `enable_thinking`.
 */
export function templateArguments(request: ThinkingRequest): Readonly<Record<string, unknown>> {
  const variables: Variables = { ...request.chat_template_args, ...request.chat_template_kwargs };
  const effort = request.reasoning_effort ?? undefined;
  if (effort !== undefined) variables['reasoning_effort'] = effort;
  const asked = askedOf(request.thinking);
  if (asked === 'adaptive') return { ...variables, thinking: undefined, enable_thinking: undefined, thinking_mode: 'adaptive' };
  const clear = asked ?? clearWord(variables);
  if (clear !== undefined) return { ...variables, thinking: clear, enable_thinking: clear, thinking_mode: clear ? 'enabled' : 'disabled' };
  const loose = looseWord(variables['thinking']) ?? looseWord(variables['enable_thinking']) ?? looseMode(variables['thinking_mode']);
  return loose === undefined ? variables : { ...variables, thinking: loose, enable_thinking: loose };
}

function askedOf(thinking: unknown): boolean | 'adaptive' | undefined {
  if (typeof thinking === 'boolean') return thinking;
  const type = typeof thinking === 'object' && thinking !== null ? (thinking as { type?: unknown }).type : undefined;
  if (type === 'adaptive') return type;
  return type === 'enabled' ? true : type === 'disabled' ? false : undefined;
}

function clearWord({ thinking, enable_thinking: enable, thinking_mode: mode, reasoning_effort: effort }: Variables): boolean | undefined {
  if (typeof thinking === 'boolean') return thinking;
  if (typeof enable === 'boolean') return enable;
  const word = typeof mode === 'string' ? mode.toLowerCase() : undefined;
  if (word === 'enabled' || word === 'disabled') return word === 'enabled';
  return typeof effort === 'string' ? effort !== 'none' : undefined;
}

const yes: ReadonlySet<string> = new Set(['true', 'yes', 'on', '1']);
const no: ReadonlySet<string> = new Set(['false', 'no', 'off', '0']);

function looseWord(value: unknown): boolean | undefined {
  if (typeof value === 'string') return yes.has(value.trim().toLowerCase());
  if (value instanceof Float) return value.value !== 0;
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) !== 0 : undefined;
}

/** `thinking_mode` has values of its own, such as `chat`: only plain words count. */
function looseMode(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string') return looseWord(value);
  const word = value.trim().toLowerCase();
  return yes.has(word) ? true : no.has(word) ? false : undefined;
}
