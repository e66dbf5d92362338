import { argumentsText, schemaOf, typedText } from './arguments.ts';
import { between } from './attributes.ts';
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
  read: (block, tools, cut) => {
    if (!block.trimStart().startsWith('<function=')) return callsOf(block) ?? [];
    return block
      .split('<function=')
      .slice(1)
      .flatMap((one) => functionCall(one.split('</function>')[0] ?? '', tools, cut && !one.includes('</function>')));
  },
});

function functionCall(block: string, tools: readonly ToolSpec[], cut: boolean): readonly WholeCall[] {
  const end = block.indexOf('>');
  const name = end < 0 ? '' : block.slice(0, end).trim();
  if (name === '') return [];
  const members: [string, string][] = [];
  for (const part of between(block.slice(end + 1), '<parameter=', '</parameter>')) {
    const named = part.indexOf('>');
    if (named < 0) continue;
    const key = part.slice(0, named).trim();
    members.push([key, typedText(part.slice(named + 1).trim(), schemaOf(tools, name, key), 'loose')]);
  }
  return cut && members.length === 0 ? [] : [{ name, arguments: argumentsText(members) }];
}
