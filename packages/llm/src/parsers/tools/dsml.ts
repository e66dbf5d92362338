import { argumentsText, jsonOrText } from './arguments.ts';
import { between } from './attributes.ts';
import { blockFamily } from './block-family.ts';
import { type CallId, dashedId } from './events.ts';
import type { ToolParser, WholeCall } from './parser.ts';

/** Twenty-four hexadecimal digits, as 1.6.1 names the calls of these families. */
const hexId: CallId = (uuid) => `call_${uuid().replaceAll('-', '').slice(0, 24)}`;

const dsml = '｜DSML｜';

/** A DSML family: a section of invocations, whose parameters say themselves whether they are text. */
function dsmlFamily(names: { readonly section: string; readonly gap: '' | ' '; readonly id: CallId }): ToolParser {
  const open = (tag: string): string => `<${dsml}${names.gap}${tag}`;
  const close = (tag: string): string => `</${dsml}${names.gap}${tag}>`;
  return blockFamily({
    section: { open: [`${open(names.section)}>`], close: [close(names.section)] },
    loose: true,
    dropsLeading: true,
    open: [`${open('invoke')} name="`],
    close: [close('invoke')],
    id: names.id,
    read: (block, _tools, cut) => (cut ? [] : read(block, `${open('parameter')} name="`, close('parameter'))),
  });
}

function read(block: string, open: string, close: string): readonly WholeCall[] {
  const end = block.indexOf('">');
  if (end <= 0) return [];
  const members: [string, string][] = [];
  for (const part of between(block.slice(end + 2), open, close)) {
    const found = /^([^"]*)"(?:\s+string="(true|false)")?\s*>/.exec(part);
    if (found === null) continue;
    const value = part.slice(found[0].length);
    members.push([found[1] ?? '', found[2] === 'false' ? jsonOrText(value.trim()) : JSON.stringify(value.trim())]);
  }
  return [{ name: block.slice(0, end), arguments: argumentsText(members) }];
}

/** DeepSeek V3.2: `<｜DSML｜function_calls>`. */
export const deepseekV32: ToolParser = dsmlFamily({ section: 'function_calls', gap: '', id: hexId });

/** DeepSeek V4: `<｜DSML｜tool_calls>`. */
export const deepseekV4: ToolParser = dsmlFamily({ section: 'tool_calls', gap: '', id: hexId });

/** DeepSeek V4.1: as V4, with a space behind the mark, and calls that may stand in thoughts. */
export const deepseekV41: ToolParser = dsmlFamily({ section: 'calls', gap: ' ', id: dashedId });
