import { argumentsText, isRecord, propertyOf, type Schema, schemaOf, typedText, typesOf } from './arguments.ts';
import { blockFamily } from './block-family.ts';
import type { ToolParser, ToolSpec, WholeCall } from './parser.ts';

/** Stands before every tag of this family. */
const mark = ']<]minimax[>[';
/** Deepest nesting of tags in an argument. */
const maxDepth = 32;

/** MiniMax M3: as M2, with a mark before every tag, and parameters that are tags of their own name, perhaps with tags in them. */
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
  const members = tagsIn(block.slice(end + 2)).map(([key, text]): [string, string] => [key, valueOf(text, schemaOf(tools, name, key), 0)]);
  return [{ name, arguments: argumentsText(members) }];
}

/** JSON text of a value: text in the type of its schema, or what the tags in it make. */
function valueOf(text: string, schema: Schema | undefined, depth: number): string {
  const tags = depth < maxDepth && text.includes(`${mark}<`) ? tagsIn(text) : [];
  if (tags.length === 0) return typedText(text, schema, 'strict');
  if (schema !== undefined && typesOf(schema, 0).has('array')) {
    const items = isRecord(schema['items']) ? schema['items'] : undefined;
    return `[${tags.map(([, inner]) => valueOf(inner, items, depth + 1)).join(',')}]`;
  }
  // Tags of one name make a list.
  const members = new Map<string, string[]>();
  for (const [key, inner] of tags) {
    const value = valueOf(inner, propertyOf(schema, key), depth + 1);
    const known = members.get(key);
    if (known === undefined) members.set(key, [value]);
    else known.push(value);
  }
  return argumentsText(
    Array.from(members, ([key, values]): [string, string] => [key, values.length === 1 ? (values[0] ?? '') : `[${values.join(',')}]`]),
  );
}

/** The tags of a text that have an end, outermost ones only, each with what is in it. */
function tagsIn(text: string): readonly (readonly [name: string, inner: string])[] {
  const parts = text.split(`${mark}<`);
  const ends = new Map<string, number[]>();
  for (let at = parts.length - 1; at > 0; at--) {
    const name = /^\/([^>]*)>/.exec(parts[at] ?? '')?.[1];
    if (name === undefined) continue;
    const known = ends.get(name);
    if (known === undefined) ends.set(name, [at]);
    else known.push(at);
  }
  const tags: [string, string][] = [];
  for (let at = 1; at < parts.length; at++) {
    const part = parts[at] ?? '';
    const close = part.indexOf('>');
    if (close < 0 || part.startsWith('/')) continue;
    const key = part.slice(0, close);
    const own = ends.get(key) ?? [];
    while ((own.at(-1) ?? at + 1) <= at) own.pop();
    const last = own.at(-1);
    if (last === undefined) continue;
    tags.push([key, [part.slice(close + 1), ...parts.slice(at + 1, last)].join(`${mark}<`)]);
    at = last;
  }
  return tags;
}
