import type { ChatRequest } from './chat.ts';
import { Float } from '@dynamo/runtime/internal';

type Args = Record<string, unknown>;

/** Words that switch thinking on where a client sends text in place of a boolean (observed in 1.6.1). */
const yes: ReadonlySet<string> = new Set(['true', 'yes', 'on', '1', 'enabled']);
const modes: Readonly<Record<string, boolean>> = { enabled: true, disabled: false };

/**
 * The template's arguments with every spelling of "think" and "don't think" brought into line: `thinking`,
 * `enable_thinking` and `thinking_mode` agree, and `reasoning_effort` is among them (spec llm 4).
 *
 * Undefined when the request has none of all that.
 */
export function templateArgs(request: ChatRequest): Readonly<Record<string, unknown>> | undefined {
  const thinking = modeOf(request.thinking);
  const effort = request.reasoning_effort ?? undefined;
  const given = request.chat_template_args ?? undefined;
  if (given === undefined && thinking === undefined && effort === undefined) return undefined;
  const args: Args = { ...given };
  if (thinking === 'adaptive') {
    delete args['thinking'];
    delete args['enable_thinking'];
    args['thinking_mode'] = 'adaptive';
  } else if (thinking !== undefined) setThinking(args, thinking);
  if (effort !== undefined) args['reasoning_effort'] = effort;
  return agree(args);
}

/** Whether the arguments ask for thinking, forbid it, or leave it open. */
export function asksThinking(args: Readonly<Record<string, unknown>> | undefined): boolean | undefined {
  const value = args?.['thinking'] ?? args?.['enable_thinking'];
  return typeof value === 'boolean' ? value : undefined;
}

function modeOf(thinking: unknown): boolean | 'adaptive' | undefined {
  if (typeof thinking === 'boolean') return thinking;
  if (typeof thinking !== 'object' || thinking === null) return undefined;
  const { type } = thinking as { type?: unknown };
  return type === 'adaptive' ? type : type === 'enabled';
}

function setThinking(args: Args, on: boolean): void {
  args['thinking'] = on;
  args['enable_thinking'] = on;
  args['thinking_mode'] = on ? 'enabled' : 'disabled';
}

/** The first spelling that says yes or no decides for all of them. */
function agree(args: Args): Args {
  const { thinking, enable_thinking: enable, thinking_mode: mode, reasoning_effort: effort } = args;
  const plain = typeof thinking === 'boolean' ? thinking : typeof enable === 'boolean' ? enable : typeof mode === 'string' ? modes[mode] : undefined;
  if (plain !== undefined) setThinking(args, plain);
  else if (thinking === undefined && enable === undefined && mode === undefined) {
    if (typeof effort === 'string') setThinking(args, effort !== 'none');
  } else {
    const loose = looseBoolean(thinking) ?? looseBoolean(enable) ?? (typeof mode === 'boolean' ? mode : undefined);
    if (loose !== undefined) args['thinking'] = args['enable_thinking'] = loose;
  }
  return args;
}

function looseBoolean(value: unknown): boolean | undefined {
  if (typeof value === 'string') return yes.has(value.toLowerCase());
  if (value instanceof Float) return value.value !== 0;
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) !== 0 : undefined;
}
