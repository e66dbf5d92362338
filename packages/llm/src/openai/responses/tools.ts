import { publicFailure } from '../failure.ts';
import type { ChatTool, ToolChoice } from '../message.ts';
import { isMap } from '../spelling.ts';
import { checkStrictSchema } from '../validate/strict-schema.ts';
import { rewording } from '../rewording.ts';
import { unconverted } from './messages.ts';
import type { FunctionTool, ResponsesRequest, ResponseTool } from './request.ts';

/** The tools of a request as a chat has them. */
export interface ChatTools {
  readonly tools?: readonly ChatTool[];
  readonly choice?: ToolChoice;
  /** The only functions that may be called, where the request names them. */
  readonly allowed?: ReadonlySet<string>;
}

/**
 * Finds out which functions a Responses request offers.
 *
 * @throws DynamoError `invalid_argument` for tools that somebody else would have to run, and for schemas that are not strict.
 */
export function chatTools({ tools, tool_choice: choice }: Pick<ResponsesRequest, 'tools' | 'tool_choice'>): ChatTools {
  const functions = (tools ?? []).flatMap(functionsOf);
  const offered = functions.map(chatTool);
  for (const { function: made } of offered) {
    const { name, parameters } = made;
    if (made.strict === true && isMap(parameters)) rewording(() => checkStrictSchema(name, parameters), { as: unconverted });
  }
  const found = offered.length === 0 ? {} : { tools: offered };
  if (choice === undefined || choice === null) return found;
  if (typeof choice === 'string') return { ...found, choice };
  if (choice.type === 'function') return { ...found, choice: { type: 'function', function: { name: choice.name } } };
  if (choice.type !== 'allowed_tools') throw unsupported('tool_choice', choice.type);
  const allowed = allowedNames(choice.tools, functions);
  return { tools: offered.filter((tool) => allowed.has(tool.function.name)), choice: choice.mode, allowed };
}

function functionsOf(tool: ResponseTool): FunctionTool[] {
  if (tool.type === 'function') return [tool];
  if (tool.type === 'namespace') return tool.tools.flatMap(functionsOf);
  throw unsupported('tools', tool.type);
}

const chatTool = ({ name, description, parameters, strict }: FunctionTool): ChatTool => ({
  type: 'function',
  function: {
    name,
    ...(typeof description === 'string' ? { description } : {}),
    ...(parameters === undefined || parameters === null ? {} : { parameters: parameters as Readonly<Record<string, unknown>> }),
    ...(typeof strict === 'boolean' ? { strict } : {}),
  },
});

function allowedNames(entries: readonly unknown[], functions: readonly FunctionTool[]): ReadonlySet<string> {
  const refuse = (what: string): Error => publicFailure('invalid_argument', `${unconverted}Responses allowed_tools ${what}`);
  const allowed = new Set<string>();
  for (const entry of entries) {
    const { type, name } = (isMap(entry) ? entry : {}) as { type?: unknown; name?: unknown };
    if (type !== 'function' || typeof name !== 'string') throw refuse('currently supports only function entries with a string name');
    if (!functions.some((tool) => tool.name === name)) throw refuse(`references unknown function '${name}'`);
    allowed.add(name);
  }
  if (allowed.size === 0) throw refuse('must contain at least one function');
  return allowed;
}

const unsupported = (member: string, type: string): Error =>
  publicFailure(
    'invalid_argument',
    `${unconverted}Unsupported Responses ${member} type '${type}': the Chat Completions adapter supports only function tools and none, auto, required, named function, or function-only allowed_tools choices`,
  );
