import { argumentsText, schemaOf, typedText } from './arguments.ts';
import { between, quotedName } from './attributes.ts';
import { blockFamily } from './block-family.ts';
import type { ToolParser, ToolSpec, WholeCall } from './parser.ts';

/** MiniMax M2: `<invoke name="NAME"><parameter name="KEY">VALUE</parameter></invoke>` in `<minimax:tool_call>`. */
export const minimaxM2: ToolParser = blockFamily({
  section: { open: ['<minimax:tool_call>'], close: ['</minimax:tool_call>'] },
  loose: true,
  open: ['<invoke name='],
  close: ['</invoke>'],
  read: (block, tools, cut) => (cut ? [] : read(block, tools)),
});

function read(block: string, tools: readonly ToolSpec[]): readonly WholeCall[] {
  const invoked = quotedName(block, '>');
  if (invoked === undefined) return [];
  const members: [string, string][] = [];
  for (const part of between(invoked.rest, '<parameter name=', '</parameter>')) {
    const parameter = quotedName(part, '>');
    if (parameter === undefined) continue;
    members.push([parameter.name, typedText(parameter.rest.trim(), schemaOf(tools, invoked.name, parameter.name), 'loose')]);
  }
  return [{ name: invoked.name, arguments: argumentsText(members) }];
}
