import { publicFailure } from './failure.ts';
import type { ChatRequest } from './chat.ts';
import type { CompletionRequest } from './completions.ts';
import type { ChatTool } from './message.ts';
import { jsonText } from './spelling.ts';

type Json = Readonly<Record<string, unknown>>;

/** What a function takes that declares no parameters. */
const noParameters: Json = { type: 'object', properties: {} };
const anyObject: Json = { type: 'object' };

/**
 * The constraint on the output, under its wire names: from the guided members, the response format, or the tool that must
 * be called (spec llm 2.1). Undefined when the model may say anything.
 *
 * @throws DynamoError `invalid_argument` when a call is required and another constraint is set too.
 */
export function guidedDecoding(request: ChatRequest | CompletionRequest): unknown {
  const chat = 'messages' in request ? request : undefined;
  const calls = chat === undefined ? undefined : callSchema(chat);
  if (calls !== undefined) {
    if (isConstrained(request)) throw publicFailure('invalid_argument', 'Invalid request');
    return { json: calls };
  }
  const json = request.guided_json ?? (chat === undefined ? undefined : formatSchema(chat)) ?? undefined;
  const choice = request.guided_choice ?? undefined;
  const guided: Record<string, unknown> = {};
  if (json !== undefined) guided['json'] = json;
  if (typeof request.guided_regex === 'string') guided['regex'] = request.guided_regex;
  if (choice !== undefined) guided['choice'] = choice;
  if (typeof request.guided_grammar === 'string') guided['grammar'] = request.guided_grammar;
  // An empty list of choices alone is no constraint.
  if (Object.keys(guided).length === (choice?.length === 0 ? 1 : 0)) return undefined;
  if (typeof request.guided_decoding_backend === 'string') guided['backend'] = request.guided_decoding_backend;
  if (typeof request.guided_whitespace_pattern === 'string') guided['whitespace_pattern'] = request.guided_whitespace_pattern;
  return guided;
}

const isConstrained = (request: ChatRequest | CompletionRequest): boolean =>
  (request.guided_json ?? request.guided_regex ?? request.guided_grammar ?? null) !== null || (request.guided_choice?.length ?? 0) > 0;

/** The schema of the response format; plain text has none. */
function formatSchema({ response_format: format }: ChatRequest): unknown {
  if (format?.type === 'json_object') return anyObject;
  return format?.type === 'json_schema' ? format.json_schema.schema : undefined;
}

/** Whether the request makes the model call a tool. */
export function mustCall({ tool_choice: choice, tools }: ChatRequest): boolean {
  return choice === 'required' ? (tools ?? []).length > 0 : typeof choice === 'object' && choice !== null;
}

/** The schema of the calls that must be made: a list of them, or the arguments of the one that is named. */
function callSchema(request: ChatRequest): Json | undefined {
  if (!mustCall(request)) return undefined;
  const tools = request.tools ?? [];
  const choice = request.tool_choice;
  if (typeof choice !== 'object' || choice === null) return anyCallSchema(tools, request.parallel_tool_calls === false);
  const named = tools.find((tool) => tool.function.name === choice.function.name);
  return named?.function.parameters ?? noParameters;
}

function anyCallSchema(tools: readonly ChatTool[], single: boolean): Json {
  const definitions: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  const anyOf = tools.map(({ function: { name, parameters } }) => ({
    properties: { name: { type: 'string', enum: [name] }, parameters: withoutDefinitions(parameters ?? noParameters, definitions) },
    required: ['name', 'parameters'],
  }));
  return {
    type: 'array',
    minItems: 1,
    ...(single ? { maxItems: 1 } : {}),
    items: { type: 'object', anyOf },
    ...(Object.keys(definitions).length > 0 ? { $defs: definitions } : {}),
  };
}

/** Moves a schema's `$defs` up to where its references will look for them. */
function withoutDefinitions(parameters: Json, definitions: Record<string, unknown>): Json {
  const own = parameters['$defs'];
  if (typeof own !== 'object' || own === null || Array.isArray(own)) return parameters;
  for (const [name, schema] of Object.entries(own)) {
    if (definitions[name] !== undefined && jsonText(definitions[name]) !== jsonText(schema))
      throw publicFailure('invalid_argument', 'Invalid request');
    definitions[name] = schema;
  }
  const { $defs: _moved, ...rest } = parameters;
  return rest;
}
