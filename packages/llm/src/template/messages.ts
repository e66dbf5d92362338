import { readCallArguments } from './call-arguments.ts';
import type { ChatTemplate } from './chat-template.ts';

type Members = Readonly<Record<string, unknown>>;

/** Members of a message in the order that templates see them in when they print a whole one; others are dropped (observed in 1.6.1). */
const memberNames = [
  'role',
  'content',
  'reasoning_content',
  'refusal',
  'name',
  'audio',
  'tool_calls',
  'tool_call_id',
  'function_call',
  'partial',
  'tools',
] as const;

/** Parts that stand for media; the template sees where they are, the worker gets what they are. */
const mediaTypes: Readonly<Record<string, string>> = { image_url: 'image', video_url: 'video', audio_url: 'audio' };

/**
 * Brings a conversation into the form that the template expects (spec llm 4): content as text or as parts, arguments of
 * calls as text or as object, reasoning as a member or inside of the content. A member that is null is left out.
 *
 * @throws DynamoError `invalid_argument`, with a public message, on arguments that are no JSON object.
 */
export function templateMessages(messages: readonly unknown[], template: ChatTemplate): Record<string, unknown>[] {
  return messages.map((message, index) => {
    const made = copyMembers(isRecord(message) ? message : {});
    if (made['content'] !== undefined) made['content'] = contentFor(made['content'], template);
    if (made['role'] === 'assistant') assistant(made, { path: `messages[${index}]`, template });
    return made;
  });
}

function copyMembers(message: Members): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  for (const name of memberNames) {
    const value = message[name];
    if (value !== undefined && value !== null) made[name] = value;
  }
  return made;
}

function contentFor(content: unknown, { takesContentParts }: ChatTemplate): unknown {
  if (typeof content === 'string') return takesContentParts ? [{ type: 'text', text: content }] : content;
  if (!Array.isArray(content)) return content;
  const parts = content.map(placeholder);
  const texts = parts.map((part) => (isRecord(part) && part['type'] === 'text' && typeof part['text'] === 'string' ? part['text'] : undefined));
  return takesContentParts || texts.length === 0 || texts.includes(undefined) ? parts : texts.join('\n');
}

function placeholder(part: unknown): unknown {
  if (!isRecord(part) || typeof part['type'] !== 'string') return part;
  if (part['type'] === 'text') return { type: 'text', text: part['text'] };
  const type = Object.hasOwn(mediaTypes, part['type']) ? mediaTypes[part['type']] : undefined;
  return type === undefined ? part : { type };
}

function assistant(message: Record<string, unknown>, { path, template }: { path: string; template: ChatTemplate }): void {
  if (Array.isArray(message['tool_calls'])) {
    message['tool_calls'] = message['tool_calls'].map((call, index) => toolCall(call, `${path}.tool_calls[${index}].function.arguments`, template));
  }
  if (isRecord(message['function_call'])) message['function_call'] = legacyCall(message['function_call'], template);
  if (message['reasoning_content'] !== undefined) reasoning(message, template);
}

function toolCall(call: unknown, path: string, template: ChatTemplate): unknown {
  if (!isRecord(call) || !isRecord(call['function'])) return call;
  const { name, arguments: given } = call['function'];
  // Text is checked even where the template gets it as it is; blank text passes (observed in 1.6.1).
  const parsed = typeof given === 'string' && given.trim() !== '' ? readCallArguments(given, path) : given;
  return { id: call['id'], type: call['type'] ?? 'function', function: { name, arguments: template.takesArgumentText ? given : parsed } };
}

/** The older form of a call is not checked: what can't be read stays text. */
function legacyCall(call: Members, template: ChatTemplate): unknown {
  const { name, arguments: given } = call;
  if (template.takesArgumentText || typeof given !== 'string') return { name, arguments: given };
  try {
    return { name, arguments: readCallArguments(given, 'function_call.arguments') };
  } catch {
    return { name, arguments: given };
  }
}

function reasoning(message: Record<string, unknown>, template: ChatTemplate): void {
  const given = message['reasoning_content'];
  const segments = (Array.isArray(given) ? given : [given]).filter((segment): segment is string => typeof segment === 'string' && segment !== '');
  if (template.readsReasoning) {
    if (Array.isArray(given)) message['reasoning_content'] = segments.join('\n');
    return;
  }
  if (segments.length === 0) return;
  const thought = segments.map((segment) => `<think>${segment}</think>`).join('');
  const { content = '' } = message;
  if (typeof content === 'string')
    message['content'] = template.takesContentParts && content === '' ? [{ type: 'text', text: thought }] : thought + content;
  else if (Array.isArray(content)) message['content'] = [{ type: 'text', text: thought }, ...content];
  delete message['reasoning_content'];
}

/** True for a JSON object. */
export const isRecord = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value);
