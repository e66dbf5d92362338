import { Members } from '@dynamo/runtime/internal';
import { entriesOf, isInteger, isMap } from '../spelling.ts';
import { type Mode, type Type, alternatives, unusual, wrongType } from './type.ts';

/** Types by the value of a tag member; null for those without members of their own. */
export type Variants = Readonly<Record<string, Type | null>>;

/**
 * An object whose member `tag` says what the others are. Other forms are taken too: the tag as its place in the table,
 * and a list with the tag first.
 */
export function tagged(name: string, tag: string, variants: Variants): Type {
  const names = Object.keys(variants);
  const table = new Map(Object.entries(variants));
  const tagMismatch = (value: unknown): string | undefined => {
    if (typeof value === 'string') return table.has(value) ? undefined : `unknown variant \`${value}\`, expected ${alternatives(names)}`;
    if (!isInteger(value) || value < 0) return wrongType(value, 'variant identifier');
    return value < names.length ? undefined : `invalid value: integer \`${value}\`, expected variant index 0 <= i < ${names.length}`;
  };
  const nameOf = (value: unknown): string => (typeof value === 'string' ? value : (names[Number(value)] ?? ''));
  return {
    mismatch(value, mode) {
      if (Array.isArray(value)) {
        if (mode === 'quick') return unusual;
        return value.length === 0 ? `missing field \`${tag}\`` : (tagMismatch(value[0]) ?? listMismatch(table.get(nameOf(value[0])), value.slice(1)));
      }
      if (!isMap(value)) return wrongType(value, `internally tagged enum ${name}`);
      const wrong = findTag(value, tag, tagMismatch);
      if (wrong.mismatch !== undefined) return wrong.mismatch;
      if (mode === 'quick' && typeof wrong.tag !== 'string') return unusual;
      return table.get(nameOf(wrong.tag))?.mismatch(value, mode);
    },
    usual(value) {
      const [written, rest] = Array.isArray(value) ? [value[0], value.slice(1)] : [(value as Record<string, unknown>)[tag], value];
      const variant = table.get(nameOf(written));
      const members = variant === null || variant === undefined ? (Array.isArray(value) ? {} : value) : variant.usual(rest);
      return { ...(members as object), [tag]: nameOf(written) };
    },
  };
}

const listMismatch = (variant: Type | null | undefined, rest: readonly unknown[]): string | undefined =>
  variant === null || variant === undefined
    ? rest.length > 0
      ? `invalid length ${rest.length}, expected 0 elements in sequence`
      : undefined
    : variant.mismatch(rest, 'exact');

interface FoundTag {
  readonly tag?: unknown;
  readonly mismatch?: string;
}

function findTag(value: Readonly<Record<string, unknown>> | Members, tag: string, tagMismatch: (value: unknown) => string | undefined): FoundTag {
  if (!(value instanceof Members)) {
    if (!Object.hasOwn(value, tag)) return { mismatch: `missing field \`${tag}\`` };
    const mismatch = tagMismatch(value[tag]);
    return mismatch === undefined ? { tag: value[tag] } : { mismatch };
  }
  const found = value.entries.filter(([name]) => name === tag);
  const [first] = found;
  if (first === undefined) return { mismatch: `missing field \`${tag}\`` };
  const mismatch = tagMismatch(first[1]) ?? (found.length > 1 ? `duplicate field \`${tag}\`` : undefined);
  return mismatch === undefined ? { tag: first[1] } : { mismatch };
}

/** An object `{ type, content }` whose `type` says what `content` is; there is but one such type in requests. */
export function adjacent(name: string, variants: { readonly type: Type; readonly content: Type }): Type {
  const expected = `adjacently tagged enum ${name}`;
  const checkMap = (value: Readonly<Record<string, unknown>> | Members, mode: Mode): string | undefined => {
    const seen = new Map<string, unknown>();
    for (const [member, inner] of entriesOf(value)) {
      if (member !== 'type' && member !== 'content') continue;
      if (seen.has(member)) return `duplicate field \`${member}\``;
      seen.set(member, inner);
      const wrong = member === 'type' ? variants.type.mismatch(inner, mode) : seen.has('type') ? variants.content.mismatch(inner, mode) : undefined;
      if (wrong !== undefined) return wrong;
    }
    if (!seen.has('type')) return 'missing field `type`';
    return seen.has('content') ? variants.content.mismatch(seen.get('content'), mode) : 'missing field `content`';
  };
  return {
    mismatch(value, mode) {
      if (isMap(value)) return checkMap(value, mode);
      if (!Array.isArray(value)) return wrongType(value, expected);
      if (mode === 'quick') return unusual;
      const [type, content] = value as unknown[];
      if (value.length === 0) return `invalid length 0, expected ${expected}`;
      if (typeof type === 'number') return `invalid value: integer \`${type}\`, expected variant index 0 <= i < 1`;
      const wrong = variants.type.mismatch(type, mode);
      if (wrong !== undefined) return wrong;
      if (value.length === 1) return `invalid length 1, expected ${expected}`;
      return variants.content.mismatch(content, mode);
    },
    usual(value) {
      const { type, content } = Array.isArray(value) ? { type: value[0], content: value[1] } : (value as Record<string, unknown>);
      return { type: variants.type.usual(type), content: variants.content.usual(content) };
    },
  };
}
