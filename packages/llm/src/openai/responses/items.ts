import { struct, type FieldTable } from '../validate/struct.ts';
import { tagged } from '../validate/tagged.ts';
import { any, list, objectOnly, option, text, type Type, union, word } from '../validate/type.ts';

/** A part of what somebody says in a Responses request. */
export type InputPart =
  | { type: 'input_text' | 'output_text'; text: string }
  | { type: 'refusal'; refusal: string }
  | { type: 'input_image'; image_url?: string | null; file_id?: string | null; detail?: string | null }
  | { type: 'input_file' };

/** One item of a Responses request's input; items of types that say nothing to a model are passed over (observed in 1.6.1). */
export type InputItem =
  | { type?: 'message'; role: 'user' | 'assistant' | 'system' | 'developer'; content: string | readonly InputPart[] }
  | { type: 'function_call'; call_id: string; name: string; arguments: string }
  | { type: 'function_call_output'; call_id: string; output: string | readonly InputPart[] }
  | { type: 'reasoning'; summary?: readonly { text: string }[] | null; content?: readonly { text: string }[] | null }
  | { type: PassedOver }
  | { type?: 'item_reference'; id: string };

const passedOver = [
  'file_search_call',
  'computer_call',
  'computer_call_output',
  'web_search_call',
  'image_generation_call',
  'code_interpreter_call',
  'local_shell_call',
  'local_shell_call_output',
  'shell_call',
  'shell_call_output',
  'apply_patch_call',
  'apply_patch_call_output',
  'mcp_list_tools',
  'mcp_approval_request',
  'mcp_approval_response',
  'mcp_call',
  'custom_tool_call_output',
  'tool_search_call',
  'tool_search_output',
  'compaction',
] as const;
type PassedOver = (typeof passedOver)[number] | 'custom_tool_call';

const textPart = struct('InputTextContent', { text });
const inputParts = list(
  objectOnly(
    tagged('InputContent', 'type', {
      input_text: textPart,
      input_image: struct('InputImageContent', {
        detail: option(word('auto', 'low', 'high', 'original')),
        file_id: option(text),
        image_url: option(text),
      }),
      input_file: null,
    }),
  ),
);
const outputParts = list(
  objectOnly(tagged('OutputMessageContent', 'type', { output_text: textPart, refusal: struct('RefusalContent', { refusal: text }) })),
);
const textOrParts = union('content', text, inputParts);
const summary = option(list(objectOnly(struct('Summary', { text }))));

/** An item whose member `type` must have this value. */
const typed = (type: string, table: FieldTable): Type => objectOnly(struct(type, { type: word(type), ...table }));

/** The items of a Responses request; whatever is none of them is told of in one sentence (observed in 1.6.1). */
const inputItem: Type = union(
  'InputItemWire',
  typed('message', { role: word('assistant'), content: outputParts }),
  typed('function_call', { call_id: text, name: text, arguments: text }),
  typed('function_call_output', { call_id: text, output: textOrParts }),
  typed('reasoning', { summary, content: summary }),
  typed('custom_tool_call', { id: text, call_id: text, name: text, input: text }),
  objectOnly(struct('PassedOver', { type: word(...passedOver) })),
  objectOnly(
    struct('EasyInputMessage', {
      type: option(word('message')),
      role: word('user', 'assistant', 'system', 'developer'),
      content: textOrParts,
    }),
  ),
  objectOnly(struct('ItemReference', { type: option(word('item_reference')), id: text })),
);

/** What the model is asked: a text, or items. */
export const input: Type = {
  mismatch(value, mode) {
    if (typeof value === 'string') return undefined;
    if (!Array.isArray(value)) return 'input must be a string or an array of input items';
    return list(inputItem).mismatch(value, mode);
  },
  usual: (value) => (typeof value === 'string' ? value : list(inputItem).usual(value)),
  inner: any.inner ?? { kind: 'any' },
};
