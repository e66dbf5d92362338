import { argumentsText, schemaOf, typedText } from './arguments.ts';
import { blockFamily } from './block-family.ts';
import type { ToolParser, ToolSpec, WholeCall } from './parser.ts';

/** Stands before every tag of this family. */
const mark = ']<]minimax[>[';

/** MiniMax M3: as M2, with a mark before every tag, and parameters that are tags of their own name. */
export const minimaxM3: ToolParser = blockFamily({
  section: { open: [`${mark}<tool_call>`], close: [`${mark}</tool_call>`] },
  open: [`${mark}<invoke name="`],
  close: [`${mark}</invoke>`],
  read: (block, tools, cut) => (cut ? [] : read(block, tools)),
});

function read(block: string, tools: readonly ToolSpec[]): readonly WholeCall[] {
  const end = block.indexOf('">');
  if (end <= 0) return [];
  const name = block.slice(0, end);
  const members: [string, string][] = [];
  const [, ...tags] = block.slice(end + 2).split(`${mark}<`);
  const closing = new Map<string, number[]>();
  for (let at = tags.length - 1; at >= 0; at--) {
    const name = /^\/([^>]*)>/.exec(tags[at] ?? '')?.[1];
    if (name === undefined) continue;
    const known = closing.get(name);
    if (known === undefined) closing.set(name, [at]);
    else known.push(at);
  }
  for (let at = 0; at < tags.length; at++) {
    const tag = tags[at] ?? '';
    const close = tag.indexOf('>');
    if (close < 0 || tag.startsWith('/')) continue;
    const key = tag.slice(0, close);
    // A value may hold tags of its own: it reaches to the closing tag of this name.
    const ends = closing.get(key) ?? [];
    while ((ends.at(-1) ?? at + 1) <= at) ends.pop();
    const last = ends.at(-1);
    if (last === undefined) continue;
    const value = [tag.slice(close + 1), ...tags.slice(at + 1, last)].join(`${mark}<`);
    members.push([key, typedText(value, schemaOf(tools, name, key))]);
    at = last;
  }
  return [{ name, arguments: argumentsText(members) }];
}
