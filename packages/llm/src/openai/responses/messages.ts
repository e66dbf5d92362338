import { publicFailure, refused } from '../failure.ts';
import type { AssistantMessage, ChatMessage, MediaPart, TextPart, ToolCall } from '../message.ts';
import type { InputItem, InputPart } from './items.ts';

/**
 * Turns what a Responses request says into the messages of a chat (observed in 1.6.1): the instructions and what the system
 * says before anybody else become one message, and what belongs to one turn of the model becomes one too.
 *
 * @throws DynamoError `invalid_argument` for files, and for images without a place.
 */
export function messagesOf(instructions: string | null | undefined, items: string | readonly InputItem[]): ChatMessage[] {
  const messages: ChatMessage[] = [];
  const system: string[] = typeof instructions === 'string' ? [instructions] : [];
  let turn: Turn | undefined;
  const settle = (): void => {
    if (turn !== undefined) messages.push(turn.message());
    turn = undefined;
  };
  for (const item of typeof items === 'string' ? [{ role: 'user' as const, content: items }] : items) {
    if (isTurn(item)) {
      (turn ??= new Turn()).add(item);
      continue;
    }
    const message = otherMessage(item);
    if (message === undefined) continue;
    settle();
    if (message.role === 'system' && messages.length === 0) system.push(message.content as string);
    else messages.push(message);
  }
  settle();
  return system.length === 0 ? messages : [{ role: 'system', content: system.join('\n\n') }, ...messages];
}

type TurnItem = Extract<InputItem, { type: 'function_call' | 'reasoning' }> | Extract<InputItem, { role: string }>;

const isTurn = (item: InputItem): item is TurnItem =>
  'role' in item ? item.role === 'assistant' : item.type === 'function_call' || item.type === 'reasoning';

/** What a model said between two others: its text, its calls, and the thoughts before, between and behind them. */
class Turn {
  #text = '';
  readonly #calls: ToolCall[] = [];
  readonly #thoughts: string[] = [''];

  add(item: TurnItem): void {
    if ('role' in item) this.#text += plainText(item.content);
    else if (item.type === 'function_call') {
      this.#calls.push({ id: item.call_id, type: 'function', function: { name: item.name, arguments: item.arguments } });
      this.#thoughts.push('');
    } else {
      const parts = (item.content?.length ?? 0) > 0 ? item.content : item.summary;
      this.#thoughts.push((this.#thoughts.pop() ?? '') + (parts ?? []).map(({ text }) => text).join(''));
    }
  }

  message(): AssistantMessage {
    const thought = this.#thoughts.some((text) => text !== '');
    return {
      role: 'assistant',
      ...(this.#text === '' && this.#calls.length > 0 ? {} : { content: this.#text }),
      ...(thought ? { reasoning_content: this.#calls.length === 0 ? this.#thoughts.join('') : this.#thoughts } : {}),
      ...(this.#calls.length === 0 ? {} : { tool_calls: this.#calls }),
    };
  }
}

/** The message of an item that is no turn of the model; undefined for items that say nothing. */
function otherMessage(item: InputItem): ChatMessage | undefined {
  if ('role' in item) {
    if (item.role !== 'user') return { role: 'system', content: plainText(item.content) };
    return { role: 'user', content: userContent(item.content) };
  }
  if (item.type !== 'function_call_output') return undefined;
  return {
    role: 'tool',
    content: toolContent((item as { output: string | readonly InputPart[] }).output),
    tool_call_id: (item as { call_id: string }).call_id,
  };
}

const plainText = (content: string | readonly InputPart[]): string =>
  typeof content === 'string' ? content : content.map((part) => ('text' in part ? part.text : part.type === 'refusal' ? part.refusal : '')).join('');

function userContent(content: string | readonly InputPart[]): string | (TextPart | MediaPart)[] {
  if (typeof content === 'string') return content;
  const parts = content.map((part) => chatPart(part, 'File input content'));
  const [only] = parts;
  return parts.length === 1 && only?.type === 'text' ? only.text : parts;
}

function toolContent(output: string | readonly InputPart[]): string | (TextPart | MediaPart)[] {
  if (typeof output === 'string') return output;
  const parts = output.map((part) => chatPart(part, 'File function call output content'));
  return parts.every((part) => part.type === 'text') ? parts.map((part) => part.text).join('') : parts;
}

function chatPart(part: InputPart, file: string): TextPart | MediaPart {
  if (part.type === 'input_file') throw refused(`${unconverted}${file} is not yet supported`);
  if (part.type !== 'input_image') return { type: 'text', text: plainText([part]) };
  const url = part.image_url ?? undefined;
  if (url === undefined) {
    if ((part.file_id ?? null) !== null) throw refused(`${unconverted}Image input by file_id is not yet supported`);
    throw publicFailure('invalid_argument', `${unconverted}input_image requires file_id or image_url`);
  }
  if (!url.startsWith('data:') && !URL.canParse(url))
    throw publicFailure('invalid_argument', `${unconverted}Invalid image URL: relative URL without a base`);
  return { type: 'image_url', image_url: { url, detail: (part.detail ?? 'auto') as 'auto' } };
}

/** How every refusal of a request that can't be a chat begins. */
export const unconverted = 'Failed to convert responses request: ';
