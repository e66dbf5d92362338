import { argumentsText, schemaOf, typedText } from './arguments.ts';
import { between } from './attributes.ts';
import { blockFamily } from './block-family.ts';
import type { ToolParser, ToolSpec, WholeCall } from './parser.ts';

/** GLM 4.5 and later: `<tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value></tool_call>`, with or without line breaks. */
export const glm: ToolParser = blockFamily({
  open: ['<tool_call>'],
  close: ['</tool_call>'],
  id: (uuid) => uuid(),
  read: (block, tools, cut) => (cut ? [] : read(block, tools)),
});

function read(block: string, tools: readonly ToolSpec[]): readonly WholeCall[] {
  const end = block.indexOf('<arg_key>');
  const name = (end < 0 ? block : block.slice(0, end)).trim();
  if (name === '' || /[\s<>{}]/.test(name)) return [];
  const members: [string, string][] = [];
  for (const pair of block
    .slice(end < 0 ? block.length : end)
    .split('<arg_key>')
    .slice(1)) {
    const close = pair.indexOf('</arg_key>');
    const [value] = between(pair, '<arg_value>', '</arg_value>');
    if (close < 0 || value === undefined) continue;
    const key = pair.slice(0, close).trim();
    members.push([key, typedText(value, schemaOf(tools, name, key), 'listing')]);
  }
  return [{ name, arguments: argumentsText(members) }];
}
