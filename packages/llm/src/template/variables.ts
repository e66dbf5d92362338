import { Float } from '@dynamo/runtime/internal';

/** The members of a chat request that set variables of the template, under their wire names. */
export interface VariablesRequest {
  readonly chat_template_args?: Readonly<Record<string, unknown>> | null | undefined;
  /** Another name of `chat_template_args`. */
  readonly chat_template_kwargs?: Readonly<Record<string, unknown>> | null | undefined;
  readonly reasoning_effort?: unknown;
  readonly thinking?: unknown;
  /** Variables of a door whose requests say it all: they are taken as they stand. */
  readonly settled_variables?: Readonly<Record<string, unknown>> | undefined;
}

/** What beside the request decides about thinking. */
export interface Family {
  /** The model's reasoning parser: some families have a default of their own. */
  readonly reasoningParser?: string | undefined;
  /** Whether the output has to have a form of its own: some families don't think then. */
  readonly constrained?: boolean;
}

type Variables = Record<string, unknown>;

const spellings = ['thinking', 'enable_thinking', 'thinking_mode'] as const;

/** Families that think unless they are told not to. */
const thinks: ReadonlySet<string | undefined> = new Set(['kimi_k25', 'kimi_k3', 'kimi-k3']);
/** Families whose templates read `thinking_mode` and nothing else. */
const readsMode: ReadonlySet<string | undefined> = new Set(['minimax_m3', 'minimax-m3', 'minimax_m3_nom', 'minimax-m3-nom']);

/**
 * The request's own variables of the template, with every spelling of thinking on or off brought into line; what the
 * template sees and what the worker is told are the same (spec llm 4; ranks and spellings observed in 1.6.1).
 *
 * A clear word writes all of `thinking`, `enable_thinking` and `thinking_mode`: in this order the request's `thinking`,
 * a boolean `thinking` or `enable_thinking` among the variables, `thinking_mode` enabled or disabled, and an effort where
 * no spelling is there at all. Without one, the first of the three that can be read as a boolean writes the first two.
 *
 * Undefined when the request sets nothing and the family has no default.
 */
export function templateVariables(request: VariablesRequest, family: Family = {}): Readonly<Record<string, unknown>> | undefined {
  if (request.settled_variables !== undefined) return request.settled_variables;
  const variables: Variables = { ...request.chat_template_args, ...request.chat_template_kwargs };
  const effort = request.reasoning_effort ?? undefined;
  if (effort !== undefined) variables['reasoning_effort'] = effort;
  const asked = askedOf(request.thinking);
  if (asked === 'adaptive') {
    delete variables['thinking'];
    delete variables['enable_thinking'];
    variables['thinking_mode'] = 'adaptive';
  } else settle(variables, asked);
  addDefault(variables, family);
  const given = request.chat_template_args ?? request.chat_template_kwargs ?? undefined;
  return given === undefined && Object.keys(variables).length === 0 ? undefined : variables;
}

/** Whether the variables ask for thinking, forbid it, or leave it open. */
export function asksThinking(variables: Readonly<Record<string, unknown>> | undefined): boolean | undefined {
  const value = variables?.['thinking'] ?? variables?.['enable_thinking'];
  return typeof value === 'boolean' ? value : undefined;
}

function settle(variables: Variables, asked: boolean | undefined): void {
  const clear = asked ?? clearWord(variables);
  if (clear !== undefined) {
    write(variables, clear);
    variables['thinking_mode'] = modeOf(clear);
    return;
  }
  const loose = looseWord(variables['thinking']) ?? looseWord(variables['enable_thinking']) ?? looseMode(variables['thinking_mode']);
  if (loose !== undefined) write(variables, loose);
}

function addDefault(variables: Variables, { reasoningParser, constrained }: Family): void {
  const settled = asksThinking(variables);
  if (thinks.has(reasoningParser)) {
    if (settled === undefined) write(variables, true);
  } else if (readsMode.has(reasoningParser)) {
    if (settled !== undefined) variables['thinking_mode'] = modeOf(settled);
    else if (constrained === true && !spellings.some((name) => Object.hasOwn(variables, name))) {
      write(variables, false);
      variables['thinking_mode'] = modeOf(false);
    }
  }
}

function write(variables: Variables, on: boolean): void {
  variables['thinking'] = on;
  variables['enable_thinking'] = on;
}

const modeOf = (on: boolean): string => (on ? 'enabled' : 'disabled');

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
