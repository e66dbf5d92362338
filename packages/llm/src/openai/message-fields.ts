import { Members } from '@dynamo/runtime/internal';
import { entriesOf, isMap, jsonText } from './spelling.ts';
import { type FieldTable, struct } from './validate/struct.ts';
import { tagged } from './validate/tagged.ts';
import { type Mode, type Type, any, boolean, list, objectOnly, option, text, union, where, word, wrongType } from './validate/type.ts';

const textPart = struct('Text', { text });
const refusalPart = struct('Refusal', { refusal: text });

/** A whole URL, as browsers read it. Base64 of many megabytes needs no closer look. */
const url = where(text, (value) => (value as string).startsWith('data:') || URL.canParse(value as string));
const withDetail = objectOnly(struct('MediaUrl', { url, detail: option(word('auto', 'low', 'high')), uuid: option(text) }));
const media = (member: string, source: Type): Type => struct(member, { [member]: option(source), uuid: option(text) });
const mediaParts = {
  image_url: media('image_url', withDetail),
  video_url: media('video_url', withDetail),
  audio_url: media('audio_url', objectOnly(struct('AudioUrl', { url, uuid: option(text) }))),
};
const inputAudio = struct('InputAudio', { input_audio: struct('Audio', { data: text, format: word('wav', 'mp3') }) });

const parts = (types: Readonly<Record<string, Type>>): Type => list(objectOnly(tagged('ContentPart', 'type', types)));
const content = (role: string, types: Readonly<Record<string, Type>>): Type =>
  union(`ChatCompletionRequest${role}MessageContent`, text, parts(types));

/** A call's arguments: JSON text, or the object itself. */
const callArguments: Type = {
  mismatch: (value) =>
    typeof value === 'string' || isMap(value) ? undefined : `expected string or object for \`arguments\`, got ${jsonText(value)}`,
  usual: (value) => value,
};

const functionCall = struct('FunctionCall', { name: text, arguments: callArguments });
const toolCall = struct('ChatCompletionMessageToolCall', { id: text, type: [word('function'), 'default'], function: functionCall });
const name = option(text);

/** Members that only one role may have: `tools` is Kimi's way to declare tools, `partial` to go on with a message. */
const special: Readonly<Record<string, { readonly role: string; readonly type: Type }>> = {
  tools: { role: 'system', type: option(list(any)) },
  partial: { role: 'assistant', type: option(boolean()) },
};
const guardNames: Readonly<Record<string, string>> = { system: 'ForbidPartial', assistant: 'ForbidTools' };

/** A message of one role. */
function message(role: string, table: FieldTable, aliases: Readonly<Record<string, string>> = {}): Type {
  const inner = struct(role, table, { aliases });
  return {
    mismatch(value, mode) {
      if (Array.isArray(value)) return wrongType(value, `struct ${guardNames[role] ?? 'ForbidToolsAndPartial'}`);
      return repeatedSpecial(value) ?? inner.mismatch(value, mode) ?? specialMismatch(role, value, mode);
    },
    usual: (value) => inner.usual(value),
  };
}

function repeatedSpecial(value: unknown): string | undefined {
  if (!(value instanceof Members)) return undefined;
  const names = value.entries.map(([member]) => member);
  return Object.keys(special).flatMap((member) => (names.indexOf(member) === names.lastIndexOf(member) ? [] : [`duplicate field \`${member}\``]))[0];
}

function specialMismatch(role: string, value: unknown, mode: Mode): string | undefined {
  if (
    !(value instanceof Members) &&
    (value as Record<string, unknown>)['tools'] === undefined &&
    (value as Record<string, unknown>)['partial'] === undefined
  ) {
    return undefined;
  }
  const members = new Map(entriesOf(value as Record<string, unknown>));
  for (const [member, rule] of Object.entries(special)) {
    const given = members.get(member);
    if (given === undefined || given === null) continue;
    if (rule.role !== role) return `\`${member}\` is only accepted on ${rule.role} messages, not on role ${role}`;
    const wrong = rule.type.mismatch(given, mode);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

const systemFields = message('system', { content: option(content('System', { text: textPart })), name });

/** A system message may go without content when it declares tools. */
const systemMessage: Type = {
  ...systemFields,
  mismatch(value, mode) {
    const wrong = systemFields.mismatch(value, mode);
    if (wrong !== undefined) return wrong;
    if (!(value instanceof Members) && typeof (value as Record<string, unknown>)['content'] === 'string') return undefined;
    const members = new Map(entriesOf(value as Record<string, unknown>));
    const tools = members.get('tools');
    if ((members.get('content') ?? null) !== null || (Array.isArray(tools) && tools.length > 0)) return undefined;
    return 'missing field `content`: a system message needs `content` unless it declares non-empty Kimi-style `tools`';
  },
};

/** The messages of a chat. The names in its errors are those of 1.6.1 (spec llm 3.2). */
export const chatMessage: Type = tagged('Wire', 'role', {
  developer: message('developer', { content: content('Developer', { text: textPart }), name }),
  system: systemMessage,
  user: message('user', { content: content('User', { text: textPart, ...mediaParts, input_audio: inputAudio }), name }),
  assistant: message(
    'assistant',
    {
      content: option(content('Assistant', { text: textPart, refusal: refusalPart })),
      reasoning_content: option(union('ReasoningContent', text, list(text))),
      refusal: option(text),
      name,
      audio: option(struct('ChatCompletionRequestAssistantMessageAudio', { id: text })),
      tool_calls: option(list(toolCall)),
      function_call: option(functionCall),
    },
    { reasoning: 'reasoning_content' },
  ),
  tool: message('tool', { content: content('Tool', { text: textPart, ...mediaParts }), tool_call_id: text }),
  function: message('function', { content: option(text), name: text }),
});
