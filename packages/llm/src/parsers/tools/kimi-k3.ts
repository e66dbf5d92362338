import { compactJson } from '../text/json-text.ts';
import { argumentsText, jsonOrText } from './arguments.ts';
import { between } from './attributes.ts';
import { blockFamily } from './block-family.ts';
import type { ToolParser, WholeCall } from './parser.ts';

/** Kimi K3: `<|open|>call tool="NAME" index="1"<|sep|>` with typed arguments; its marks are read off every answer. */
export const kimiK3: ToolParser = blockFamily({
  section: { open: ['<|open|>tools<|sep|>'], close: ['<|close|>tools<|sep|>'] },
  open: ['<|open|>call '],
  close: ['<|close|>call<|sep|>'],
  dropped: ['<|open|>response<|sep|>', '<|close|>response<|sep|>', '<|close|>message<|sep|>', '<|close|>think<|sep|>'],
  always: true,
  guided: false,
  read: (block, _tools, cut) => (cut ? [] : read(block)),
});

function read(block: string): readonly WholeCall[] {
  const header = /^([^]*?)<\|sep\|>/.exec(block);
  const name = /(?:^|\s)tool="([^"]*)"/.exec(header?.[1] ?? '')?.[1];
  if (header === null || name === undefined) return [];
  const members: [string, string][] = [];
  for (const part of between(block.slice(header[0].length), '<|open|>argument ', '<|close|>argument<|sep|>')) {
    const end = part.indexOf('<|sep|>');
    if (end < 0) continue;
    const key = /(?:^|\s)key="([^"]*)"/.exec(part.slice(0, end))?.[1];
    const type = /(?:^|\s)type="([^"]*)"/.exec(part.slice(0, end))?.[1];
    const value = part.slice(end + '<|sep|>'.length);
    if (key === undefined) continue;
    members.push([
      key,
      type === 'string' ? JSON.stringify(value) : type === undefined ? jsonOrText(value) : (compactJson(value) ?? JSON.stringify(value)),
    ]);
  }
  return [{ name, arguments: argumentsText(members) }];
}
