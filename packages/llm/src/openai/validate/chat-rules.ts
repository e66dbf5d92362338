import { JsonFault, JsonReader } from '@dynamo/runtime/internal';
import type { ChatRequest, ResponseFormat } from '../chat.ts';
import { publicFailure, refused } from '../failure.ts';
import type { ChatMessage } from '../message.ts';
import { isMap } from '../spelling.ts';
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
import { checkSystemTools, checkToolChoice, checkTools } from './tool-rules.ts';

/**
 * Checks a chat request whose members have the right types, in 1.6.1's order (spec llm 3.2, step 4).
 *
 * @throws DynamoError with a public message: `invalid_argument`, or `not_implemented` for what OpenAI has replaced.
 */
export function checkChat(request: ChatRequest, others: readonly string[]): void {
  checkThinking(request.thinking);
  checkDeprecated(request);
  if (request.messages.length === 0) throw refused("The 'messages' field cannot be empty. At least one message is required.");
  checkStreamOptions(request);
  checkOthers(request, others);
  checkGuided(request, hasSchema(request));
  if (request.chat_template_args !== undefined && request.chat_template_args !== null && Object.hasOwn(request.chat_template_args, 'chat_template')) {
    throw refused('`chat_template` is not supported inside `chat_template_args`');
  }
  checkMessages(request.messages);
  checkModel(request.model);
  checkOptions(request);
  if (request.continue_final_message === true && request.add_generation_prompt !== false) {
    throw refused('Cannot set both `continue_final_message` and `add_generation_prompt` to True.');
  }
}

function checkOptions(request: ChatRequest): void {
  checkRange(request.frequency_penalty, ranges.frequencyPenalty);
  checkLogitBias(request.logit_bias);
  checkCount(request.top_logprobs, { name: 'Top_logprobs', low: 0, high: 20 });
  checkMaxTokens(request.max_tokens, 'Max tokens');
  checkMaxTokens(request.max_completion_tokens, 'Max completion tokens');
  checkCount(request.n, choicesRange);
  checkSingleChoice(request.n, request.nvext);
  checkRange(request.presence_penalty, ranges.presencePenalty);
  checkResponseFormat(request.response_format);
  checkStop(request.stop);
  checkRange(request.temperature, ranges.temperature);
  checkRange(request.top_p, ranges.topP);
  checkTools(request.tools);
  checkToolChoice(request.tool_choice, request.tools);
  checkUser(request.user);
  checkRange(request.repetition_penalty, ranges.repetitionPenalty);
  checkRange(request.min_p, ranges.minP);
  checkTopK(request.top_k);
  checkDiversity(request.n, request.temperature);
}

function checkThinking(thinking: unknown): void {
  if (thinking === undefined || thinking === null || typeof thinking === 'boolean') return;
  if (!isMap(thinking)) {
    throw refused('`thinking` must be a boolean or an object with `type` set to `enabled`, `disabled`, or `adaptive`');
  }
  const { type } = thinking as { type?: unknown };
  if (type !== 'enabled' && type !== 'disabled' && type !== 'adaptive') {
    throw refused('`thinking.type` must be `enabled`, `disabled`, or `adaptive`');
  }
}

function checkDeprecated(request: ChatRequest): void {
  for (const [name, instead] of [
    ['function_call', 'tool_choice'],
    ['functions', 'tools'],
  ] as const) {
    if ((request[name] ?? null) === null) continue;
    throw publicFailure('not_implemented', `Validation: \`${name}\` is deprecated. Please migrate to use \`${instead}\` instead.`);
  }
}

/** Whether the output is constrained by a JSON Schema: one of its own, or that of the response format. */
function hasSchema(request: ChatRequest): boolean {
  if ((request.guided_json ?? null) !== null) return true;
  const format = request.response_format;
  return format?.type === 'json_object' || (format?.type === 'json_schema' && (format.json_schema.schema ?? null) !== null);
}

function checkMessages(messages: readonly ChatMessage[]): void {
  for (const [index, message] of messages.entries()) {
    if (message.role === 'assistant') checkCalls(message.tool_calls ?? [], index);
  }
  for (const message of messages) if (message.role === 'system') checkSystemTools(message.tools ?? []);
}

function checkCalls(calls: readonly { function: { arguments: unknown } }[], message: number): void {
  for (const [index, call] of calls.entries()) {
    const given = call.function.arguments;
    if (typeof given === 'string' && given !== '') checkArguments(given, `messages[${message}].tool_calls[${index}].function.arguments`);
  }
}

/** Arguments of earlier calls must be readable: templates print them from the object (spec llm 4). */
function checkArguments(given: string, path: string): void {
  let value: unknown;
  let why = '';
  try {
    const reader = new JsonReader(given);
    value = reader.value();
    reader.end();
  } catch (fault) {
    if (!(fault instanceof JsonFault)) throw fault;
    why = `: ${fault.describe(given)}`;
  }
  if (why !== '' || !isMap(value)) throw refused(`\`${path}\` must be a valid JSON object string${why}`);
}

/** A schema that the answer must follow has a name and is an object. */
export function checkResponseFormat(format: ResponseFormat | null | undefined): void {
  if (format?.type !== 'json_schema') return;
  const { name, schema } = format.json_schema;
  if (name === '') throw refused('`response_format.json_schema.name` cannot be empty');
  if (schema === null) {
    throw refused('`response_format.json_schema.schema` is required when `response_format.type` is `json_schema`');
  }
  if (isMap(schema)) return;
  const kind = Array.isArray(schema) ? 'array' : typeof schema === 'string' || typeof schema === 'boolean' ? typeof schema : 'number';
  throw refused(`\`response_format.json_schema.schema\` must be a JSON object, got ${kind}`);
}
