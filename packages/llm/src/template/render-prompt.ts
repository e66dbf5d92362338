import { DynamoError } from '@dynamo/runtime';
import type { ChatTemplate } from './chat-template.ts';
import { isRecord, templateMessages } from './messages.ts';
import { templateTools } from './tools.ts';
import { templateVariables, type VariablesRequest } from './variables.ts';

/** The members of a chat request that shape its prompt, under their wire names. */
export interface ChatPromptRequest extends VariablesRequest {
  readonly messages: readonly unknown[];
  readonly tools?: readonly unknown[] | null | undefined;
  readonly tool_choice?: unknown;
  readonly add_generation_prompt?: boolean | null | undefined;
  readonly continue_final_message?: boolean | null | undefined;
}

/** Stands at the end of the message to continue while the template renders; its trailing space tells whether the template trims. */
const continueMark = 'CONTINUE_FINAL_MESSAGE_TAG ';

/**
 * Renders the prompt of a chat request (spec llm 4). It still holds the NUL characters of its messages: they go before
 * encoding, not here. `variables` are the template's own: those of the request's spellings by default.
 *
 * @throws DynamoError `invalid_argument`, with what the client sees as `data.public`.
 */
export function renderPrompt(
  template: ChatTemplate,
  request: ChatPromptRequest,
  variables: Readonly<Record<string, unknown>> | undefined = templateVariables(request),
): string {
  const continues = request.continue_final_message === true;
  const addsGenerationPrompt = request.add_generation_prompt ?? true;
  if (continues && addsGenerationPrompt) throw bothSet();
  const messages = templateMessages(request.messages, template);
  if (continues) markLast(messages);
  const prompt = template.render({
    ...variables,
    messages,
    tools: toolsOf(request),
    add_generation_prompt: addsGenerationPrompt,
  });
  return continues ? cutAtMark(prompt) : prompt;
}

function bothSet(): DynamoError {
  const message = 'Validation: Cannot set both `continue_final_message` and `add_generation_prompt` to True.';
  return new DynamoError('invalid_argument', message, { data: { public: { type: 'message', message } } });
}

/** None without tools, and when the client forbids calls. */
function toolsOf({ tools, tool_choice: choice }: ChatPromptRequest): unknown[] | null {
  return tools === undefined || tools === null || choice === 'none' ? null : templateTools(tools);
}

function markLast(messages: readonly Record<string, unknown>[]): void {
  const last = messages.at(-1);
  if (last === undefined) throw nothingToContinue();
  const { content } = last;
  if (typeof content === 'string' && content !== '') last['content'] = content + continueMark;
  else if (Array.isArray(content)) last['content'] = markLastText(content);
  else throw nothingToContinue();
}

function markLastText(parts: readonly unknown[]): unknown[] {
  const index = parts.findLastIndex((part) => isRecord(part) && typeof part['text'] === 'string');
  if (index < 0) throw nothingToContinue();
  return parts.with(index, { ...(parts[index] as object), text: (parts[index] as { text: string }).text + continueMark });
}

function cutAtMark(prompt: string): string {
  const at = prompt.lastIndexOf(continueMark.trimEnd());
  if (at < 0) throw nothingToContinue();
  const cut = prompt.slice(0, at);
  return prompt.startsWith(continueMark, at) ? cut : cut.trimEnd();
}

function nothingToContinue(): DynamoError {
  return new DynamoError('invalid_argument', 'Invalid request', {
    cause: new Error('the final message is not in the rendered prompt'),
    data: { public: { type: 'message', message: 'Invalid request' } },
  });
}
