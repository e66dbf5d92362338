import { argumentsText, schemaOf, typedText } from './arguments.ts';
import { blockFamily } from './block-family.ts';
import { callsOf } from './json-calls.ts';
import type { ToolParser, ToolSpec, WholeCall } from './parser.ts';

/**
 * Qwen 3 Coder and Nemotron Nano: `<tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>`, the
 * outer tag being optional. A call that the answer's end cuts off counts with the parameters that are complete.
 */
export const qwen3Coder: ToolParser = blockFamily({
  section: { open: ['<tool_call>'], close: ['</tool_call>'] },
  loose: true,
  open: ['<function='],
  close: ['</function>'],
  read: functionCall,
});

/** Qwen 3: its coders call in tags, the others in JSON, both between the same markers. */
export const qwen3: ToolParser = blockFamily({
  open: ['<tool_call>'],
  close: ['</tool_call>'],
  read: (block, tools) => {
    if (!block.trimStart().startsWith('<function=')) return callsOf(block) ?? [];
    return block
      .split('<function=')
      .slice(1)
      .flatMap((one) => functionCall(one.split('</function>')[0] ?? '', tools));
  },
});

function functionCall(block: string, tools: readonly ToolSpec[]): readonly WholeCall[] {
  const end = block.indexOf('>');
  const name = end < 0 ? '' : block.slice(0, end).trim();
  if (name === '') return [];
  const members: [string, string][] = [];
  for (const part of block
    .slice(end + 1)
    .split('<parameter=')
    .slice(1)) {
    const close = part.lastIndexOf('</parameter>');
    const named = part.indexOf('>');
    if (close < 0 || named < 0 || named > close) continue;
    const key = part.slice(0, named).trim();
    members.push([key, typedText(withoutLineBreaks(part.slice(named + 1, close)), schemaOf(tools, name, key))]);
  }
  return [{ name, arguments: argumentsText(members) }];
}

/** Values stand on lines of their own. */
const withoutLineBreaks = (value: string): string => value.replace(/^\r?\n/, '').replace(/\r?\n$/, '');
