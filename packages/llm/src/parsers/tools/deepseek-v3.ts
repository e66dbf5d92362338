import { compactJson } from '../text/json-text.ts';
import { blockFamily } from './block-family.ts';
import type { ToolParser, WholeCall } from './parser.ts';

const marks = {
  section: { open: ['<｜tool▁calls▁begin｜>'], close: ['<｜tool▁calls▁end｜>'] },
  loose: true,
  open: ['<｜tool▁call▁begin｜>'],
  close: ['<｜tool▁call▁end｜>'],
};
const separator = '<｜tool▁sep｜>';
const fence = /^([^\n]*)\n\s*```(?:json)?\s*\n?([\s\S]*?)\n?\s*```\s*$/;

/** DeepSeek V3 and R1: `function<｜tool▁sep｜>NAME`, then the arguments as a fenced block. */
export const deepseekV3: ToolParser = blockFamily({
  ...marks,
  read: (block) => {
    const found = fence.exec(block.slice(block.indexOf(separator) + separator.length));
    return found === null ? [] : call(found[1] ?? '', found[2] ?? '');
  },
  head: (head) => {
    const at = head.indexOf(separator);
    return at < 0 ? undefined : named(/^([^\n]*)\n\s*```(?:json)?\s*$/.exec(head.slice(at + separator.length))?.[1]);
  },
});

/** DeepSeek V3.1: `NAME<｜tool▁sep｜>{…}`. */
export const deepseekV31: ToolParser = blockFamily({
  ...marks,
  read: (block) => {
    const at = block.indexOf(separator);
    return at < 0 ? [] : call(block.slice(0, at), block.slice(at + separator.length));
  },
  head: (head) => {
    const [name, ...rest] = head.split(separator);
    return rest.length === 1 && rest[0]?.trim() === '' ? named(name) : undefined;
  },
});

function named(header: string | undefined): { readonly name: string } | undefined {
  const name = header?.trim() ?? '';
  return name === '' ? undefined : { name };
}

function call(name: string, json: string): readonly WholeCall[] {
  const text = compactJson(json.trim());
  return text === undefined || name.trim() === '' ? [] : [{ name: name.trim(), arguments: text }];
}
