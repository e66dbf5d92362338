import { chars, JsonFault, JsonReader, Members, withoutRepeats } from '@dynamo/runtime/internal';
import { malformed } from '../failure.ts';
import { countMembers, escapeControls, factsOf } from '../json-facts.ts';
import { notAnObject, readTyped } from './streamed.ts';
import { type FieldTable, fieldsOf, memberMismatch, usualMembers } from './struct.ts';
import { type Field, type StructShape, f32 } from './type.ts';

/** The members of a request body, in the three groups that 1.6.1 looks at one after the other. */
export interface BodyTables {
  readonly name: string;
  /** Members that are read straight from the text. */
  readonly own: FieldTable;
  readonly ownAliases?: Readonly<Record<string, string>>;
  /** OpenAI's members. */
  readonly openai: FieldTable;
  /** Members that both endpoints have beyond OpenAI's. */
  readonly common: FieldTable;
}

/** A body's type, compiled from its tables. */
export interface BodyType {
  readonly name: string;
  readonly own: StructShape;
  readonly openai: StructShape;
  readonly common: StructShape;
  readonly all: StructShape;
  /** Members that are floats: how their numbers were written does not matter. */
  readonly floats: ReadonlySet<string>;
}

/** A body that has the right shape, and the names of its members that no table has. */
export interface ReadBody {
  readonly value: Record<string, unknown>;
  readonly others: readonly string[];
}

/** Compiles a body's tables; done once per endpoint. */
export function bodyType(tables: BodyTables): BodyType {
  const shape = (fields: ReadonlyMap<string, Field>, aliases: Readonly<Record<string, string>> = {}): StructShape => ({
    name: `struct ${tables.name}`,
    fields,
    aliases: new Map(Object.entries(aliases)),
    closed: false,
  });
  const [own, openai, common] = [fieldsOf(tables.own), fieldsOf(tables.openai), fieldsOf(tables.common)];
  const all = new Map([...own, ...openai, ...common]);
  const isFloat = (field: Field): boolean => field.type.inner?.kind === 'option' && field.type.inner.of === f32;
  return {
    name: tables.name,
    own: shape(own, tables.ownAliases),
    openai: shape(openai),
    common: shape(common),
    all: shape(all, tables.ownAliases),
    floats: new Set([...all].filter(([, field]) => isFloat(field)).map(([name]) => name)),
  };
}

/**
 * Reads a body and checks the types of all its members (spec llm 3.2, step 3).
 *
 * @throws DynamoError `invalid_argument` with 1.6.1's words, line and column.
 */
export function readBody(text: string, type: BodyType): ReadBody {
  const quick = readQuickly(text, type);
  if (quick !== undefined) return quick;
  const fault = faultIn(text, type);
  if (fault === undefined) return readCarefully(text, type);
  const mended = escapeControls(text);
  if (mended === text || faultIn(mended, type) !== undefined) throw malformed(fault.describe(text));
  return readCarefully(mended, type);
}

function faultIn(text: string, type: BodyType): JsonFault | undefined {
  try {
    check(new JsonReader(text), type);
    return undefined;
  } catch (fault) {
    if (fault instanceof JsonFault) return fault;
    throw fault;
  }
}

function readCarefully(text: string, type: BodyType): ReadBody {
  const value = readExactly(text, type);
  return { value, others: Object.keys(value).filter((name) => !type.all.fields.has(name)) };
}

/** The common case, without positions; undefined when anything is out of the ordinary. */
function readQuickly(text: string, type: BodyType): ReadBody | undefined {
  const facts = factsOf(text, type.floats);
  if (facts.suspect) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || facts.members !== countMembers(value)) return undefined;
  const body = value as Record<string, unknown>;
  for (const [alias, name] of type.own.aliases) if (Object.hasOwn(body, alias) && !rename(body, alias, name)) return undefined;
  const others = unknownNames(body, type.all);
  if (others === undefined || !facts.inexact) return others && { value: body, others };
  // A number may be a float where an integer must be: look again at the exact values.
  const exact = readExactly(text, type);
  return unknownNames(exact, type.all) && { value: exact, others };
}

/** A body that was found to be right, with exact numbers and in its usual form. */
const readExactly = (text: string, type: BodyType): Record<string, unknown> =>
  usualMembers(type.all, withoutRepeats(new JsonReader(text).value()) as Record<string, unknown>);

const none: readonly string[] = [];

/** Gives a member its first name; false when it was there under both. */
function rename(body: Record<string, unknown>, alias: string, name: string): boolean {
  if (Object.hasOwn(body, name)) return false;
  body[name] = body[alias];
  delete body[alias];
  return true;
}

/** The members that have no type; undefined when one that has does not match or is missing. */
function unknownNames(body: Readonly<Record<string, unknown>>, { fields }: StructShape): readonly string[] | undefined {
  let others: string[] | undefined;
  for (const name in body) {
    const field = fields.get(name);
    if (field !== undefined) {
      if (field.type.mismatch(body[name], 'quick') !== undefined) return undefined;
    } else (others ??= []).push(name);
  }
  for (const [name, field] of fields) if (field.presence === 'required' && !Object.hasOwn(body, name)) return undefined;
  return others ?? none;
}

/** Goes through the text as 1.6.1 does: its own members on the way, the others at the end. */
function check(reader: JsonReader, type: BodyType): void {
  if (reader.peek() !== chars.brace) throw notAnObject(reader, type.name);
  reader.enter();
  const entries: [string, unknown][] = [];
  const seen = new Set<string>();
  for (let written = reader.nextName(true); written !== undefined; written = reader.nextName(false)) {
    const name = type.own.aliases.get(written) ?? written;
    const field = type.own.fields.get(name);
    if (field !== undefined && seen.has(name)) throw new JsonFault(`duplicate field \`${name}\``, reader.faultIndex());
    seen.add(name);
    reader.afterName();
    if (field === undefined) entries.push([written, reader.value()]);
    else readTyped(reader, field.type);
  }
  const members = new Members(entries);
  const mismatch = memberMismatch(type.openai, members, 'exact') ?? memberMismatch(type.common, members, 'exact');
  if (mismatch !== undefined) throw new JsonFault(mismatch, reader.faultIndex());
  reader.leave();
  reader.end();
}
