import { compactJson } from '../text/json-text.ts';
import { type BlockFamily, blockFamily } from './block-family.ts';
import type { ToolParser } from './parser.ts';

const separator = '<|tool_call_argument_begin|>';

const named = (header: string): { readonly id: string; readonly name: string } => {
  const id = header.trim();
  return { id, name: id.replace(/^functions\./, '').replace(/:\d+$/, '') };
};

const grammar: BlockFamily = {
  section: {
    open: ['<|tool_calls_section_begin|>', '<|tool_call_section_begin|>'],
    close: ['<|tool_calls_section_end|>', '<|tool_call_section_end|>'],
  },
  loose: true,
  open: ['<|tool_call_begin|>'],
  close: ['<|tool_call_end|>'],
  read: (block, _tools, cut) => {
    const at = block.indexOf(separator);
    if (cut || at < 0) return [];
    const { id, name } = named(block.slice(0, at));
    const written = block.slice(at + separator.length).trim();
    // What is no JSON is passed on as it is: the client sees what the model wrote (1.6.1).
    return name === '' ? [] : [{ id, name, arguments: compactJson(written) ?? written }];
  },
  head: (head) => {
    const [header = '', ...rest] = head.split(separator);
    const call = named(header);
    return rest.length === 1 && rest[0]?.trim() === '' && call.name !== '' ? call : undefined;
  },
};

/** Kimi K2: `<|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`; the header is the call's id. */
export const kimiK2: ToolParser = blockFamily({ ...grammar, guided: false });

/** Kimi K2.5: the grammar of K2; a demanded call comes as JSON. */
export const kimiK25: ToolParser = blockFamily(grammar);
