import { compactJson, numberText } from '../text/json-text.ts';
import type { ToolSpec } from './parser.ts';
import { pythonValue } from './python-calls.ts';

/** Members of an arguments object, each value as JSON text; of two with one name the last counts. */
export const argumentsText = (members: Iterable<readonly [name: string, json: string]>): string =>
  `{${Array.from(new Map(members), ([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;

/** A JSON Schema; it is the client's and may be anything. */
export type Schema = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is Schema => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The schema of one argument; undefined for tools and arguments that the client did not describe. */
export function schemaOf(tools: readonly ToolSpec[], tool: string, argument: string): Schema | undefined {
  return propertyOf(tools.find(({ name }) => name === tool)?.parameters ?? undefined, argument);
}

/** The schema of one member. */
export function propertyOf(schema: Schema | undefined, name: string): Schema | undefined {
  const properties = schema?.['properties'];
  if (!isRecord(properties) || !Object.hasOwn(properties, name)) return undefined;
  const found = properties[name];
  return isRecord(found) ? found : undefined;
}

/**
 * How a family reads arguments that its models write as bare text (observed in 1.6.1).
 *
 * `loose`: `null` is null whatever the schema says, any other type goes before text, whole numbers lose their fraction,
 * what is not true is false, and Python's notation is taken. `strict`: text goes before any other type. `listing` is
 * `strict`, with lists made of words and JSON read where the schema leaves the type open.
 */
export type TypingStyle = 'loose' | 'strict' | 'listing';

/** JSON text of an argument that the model wrote as bare text, in the type that the schema asks for; text where it fits none. */
export function typedText(raw: string, schema: Schema | undefined, style: TypingStyle): string {
  const types = schema === undefined ? undefined : typesOf(schema, 0);
  const text = raw.trim();
  if (style === 'loose' && text.toLowerCase() === 'null') return 'null';
  if (types === undefined) return JSON.stringify(raw);
  if (text === 'null' && (types.has('null') || !types.has('string'))) return 'null';
  if (types.size === 0) return (style === 'listing' && /^[[{]/.test(text) ? compactJson(text) : undefined) ?? JSON.stringify(raw);
  if (style !== 'loose' && types.has('string')) return JSON.stringify(raw);
  for (const type of ['integer', 'number', 'boolean', 'object', 'array'] as const) {
    const json = types.has(type) ? readers[type](text, style, types.size === 1) : undefined;
    if (json !== undefined) return json;
  }
  return JSON.stringify(raw);
}

/** JSON text of an argument whose family writes JSON values bare and texts as they are. */
export const jsonOrText = (raw: string): string => compactJson(raw) ?? JSON.stringify(raw);

const yes: Readonly<Record<TypingStyle, ReadonlySet<string>>> = {
  loose: new Set(['true']),
  strict: new Set(['true', '1']),
  listing: new Set(['true', '1', 'yes', 'on']),
};
const no: Readonly<Record<TypingStyle, ReadonlySet<string>>> = {
  loose: new Set(['false']),
  strict: new Set(['false', '0']),
  listing: new Set(['false', '0', 'no', 'off']),
};

/** JSON text of a text in one type, or undefined; `only` where the schema allows no other. */
type Reader = (text: string, style: TypingStyle, only: boolean) => string | undefined;

const readers: Readonly<Record<'integer' | 'number' | 'boolean' | 'object' | 'array', Reader>> = {
  integer: (text) => (/^-?(?:0|[1-9]\d*)$/.test(text) ? numberText(text) : undefined),
  number: (text, style) => {
    if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return undefined;
    const value = Number(text);
    return style === 'loose' && Number.isSafeInteger(value) ? String(value) : numberText(text);
  },
  boolean: (text, style, only) => {
    const word = text.toLowerCase();
    if (yes[style].has(word)) return 'true';
    return no[style].has(word) || (style === 'loose' && only) ? 'false' : undefined;
  },
  object: json,
  array: (text, style) => {
    const found = json(text, style);
    if (style !== 'listing' || found?.startsWith('[') === true) return found;
    return JSON.stringify(text.split(',').map((word) => word.trim()));
  },
};

function json(text: string, style: TypingStyle): string | undefined {
  return compactJson(text) ?? (style === 'loose' && /^[[{]/.test(text) ? pythonValue(text) : undefined);
}

/** The types that a schema allows, through its alternatives. */
export function typesOf(schema: Schema, depth: number): Set<string> {
  const types = new Set<string>();
  const { type } = schema;
  if (typeof type === 'string') types.add(type);
  else if (Array.isArray(type)) for (const one of type) if (typeof one === 'string') types.add(one);
  for (const name of ['anyOf', 'oneOf', 'allOf']) {
    const alternatives = schema[name];
    if (!Array.isArray(alternatives) || depth > 8) continue;
    for (const alternative of alternatives) if (isRecord(alternative)) for (const one of typesOf(alternative, depth + 1)) types.add(one);
  }
  return types;
}
