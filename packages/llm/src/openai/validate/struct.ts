import { Members } from '@dynamo/runtime/internal';
import { entriesOf, isMap } from '../spelling.ts';
import { type Field, type Mode, type StructShape, type Type, alternatives, unusual, wrongType } from './type.ts';

/** How a field is written down in the tables: required by default. */
export type FieldTable = Readonly<Record<string, Type | readonly [Type, Field['presence']]>>;

/** Turns a table into fields, in the table's order. */
export function fieldsOf(table: FieldTable): ReadonlyMap<string, Field> {
  const fields = new Map<string, Field>();
  for (const name of Object.keys(table)) {
    const row = table[name] as FieldTable[string];
    fields.set(
      name,
      'mismatch' in row ? { type: row, presence: row.inner?.kind === 'option' ? 'optional' : 'required' } : { type: row[0], presence: row[1] },
    );
  }
  return fields;
}

/** Options of an object type. */
export interface StructOptions {
  readonly aliases?: Readonly<Record<string, string>>;
  readonly closed?: boolean;
  readonly complete?: StructShape['complete'];
  /** What messages call it instead of `struct NAME`. */
  readonly called?: string;
}

/** An object with known members; others are ignored unless it is closed. A list of the members' values is taken too. */
export function struct(name: string, table: FieldTable, options: StructOptions = {}): Type {
  const shape: StructShape = {
    name: options.called ?? `struct ${name}`,
    fields: fieldsOf(table),
    aliases: new Map(Object.entries(options.aliases ?? {})),
    closed: options.closed ?? false,
    complete: options.complete,
  };
  return {
    mismatch(value, mode) {
      if (Array.isArray(value)) return mode === 'quick' ? unusual : tupleMismatch(shape, value);
      return isMap(value) ? memberMismatch(shape, value, mode) : wrongType(value, shape.name);
    },
    usual: (value) => (Array.isArray(value) ? fromTuple(shape, value) : usualMembers(shape, value as Readonly<Record<string, unknown>>)),
    inner: { kind: 'struct', struct: shape },
  };
}

/** What is wrong with an object's members, looked at in the order of the text. */
export function memberMismatch(shape: StructShape, value: Readonly<Record<string, unknown>> | Members, mode: Mode): string | undefined {
  if (value instanceof Members || shape.aliases.size > 0) return carefulMismatch(shape, value, mode);
  for (const name in value) {
    const field = shape.fields.get(name);
    const wrong = field === undefined ? unknownMember(shape, name) : field.type.mismatch(value[name], mode);
    if (wrong !== undefined) return wrong;
  }
  return missingMember(shape, (name) => Object.hasOwn(value, name));
}

/** The same where a name may come twice. */
function carefulMismatch(shape: StructShape, value: Readonly<Record<string, unknown>> | Members, mode: Mode): string | undefined {
  const seen = new Set<string>();
  for (const [written, member] of entriesOf(value)) {
    const name = shape.aliases.get(written) ?? written;
    const field = shape.fields.get(name);
    if (field === undefined) {
      const wrong = unknownMember(shape, written);
      if (wrong !== undefined) return wrong;
      continue;
    }
    if (seen.has(name)) return `duplicate field \`${name}\``;
    seen.add(name);
    const wrong = field.type.mismatch(member, mode);
    if (wrong !== undefined) return wrong;
    if (mode === 'quick' && written !== name) return unusual;
  }
  return missingMember(shape, (name) => seen.has(name));
}

/** The mismatch of a member that the type does not have, if it is closed. */
export function unknownMember(shape: StructShape, name: string): string | undefined {
  return shape.closed ? `unknown field \`${name}\`, expected ${alternatives([...shape.fields.keys()])}` : undefined;
}

/** The mismatch of the first required member that is missing. */
export function missingMember(shape: StructShape, has: (name: string) => boolean): string | undefined {
  for (const [name, field] of shape.fields) if (field.presence === 'required' && !has(name)) return `missing field \`${name}\``;
  return undefined;
}

/** How many elements a list in the object's place must have, for messages. */
export const elementsText = (shape: StructShape): string => `${shape.name} with ${shape.fields.size} element${shape.fields.size === 1 ? '' : 's'}`;

function tupleMismatch(shape: StructShape, values: readonly unknown[]): string | undefined {
  let index = 0;
  for (const field of shape.fields.values()) {
    if (index < values.length) {
      const wrong = field.type.mismatch(values[index], 'exact');
      if (wrong !== undefined) return wrong;
    } else if (field.presence !== 'default') return `invalid length ${index}, expected ${elementsText(shape)}`;
    index++;
  }
  return values.length > index ? `invalid length ${values.length}, expected ${index} elements in sequence` : undefined;
}

function fromTuple(shape: StructShape, values: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  let index = 0;
  for (const [name, field] of shape.fields) if (index < values.length) object[name] = field.type.usual(values[index++]);
  return object;
}

/** An object with its known members in their usual form; the others stay as they are. */
export function usualMembers(shape: StructShape, value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const written of Object.keys(value)) {
    const name = shape.aliases.get(written) ?? written;
    const field = shape.fields.get(name);
    const member = field === undefined ? value[written] : field.type.usual(value[written]);
    if (name === '__proto__') Object.defineProperty(object, name, { value: member, enumerable: true, configurable: true, writable: true });
    else object[name] = member;
  }
  return object;
}

/** An object with values of one type under any name. */
export const map = (of: Type): Type => ({
  mismatch(value, mode) {
    if (!isMap(value)) return wrongType(value, 'a map');
    for (const [, member] of entriesOf(value)) {
      const wrong = of.mismatch(member, mode);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  },
  usual(value) {
    const object = { ...(value as Record<string, unknown>) };
    for (const name of Object.keys(object)) object[name] = of.usual(object[name]);
    return object;
  },
  inner: { kind: 'map', of },
});
