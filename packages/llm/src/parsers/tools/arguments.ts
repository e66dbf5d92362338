import { compactJson } from '../text/json-text.ts';
import type { ToolSpec } from './parser.ts';

/** Members of an arguments object, each value as JSON text. */
export const argumentsText = (members: readonly (readonly [name: string, json: string])[]): string =>
  `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;

type Schema = Readonly<Record<string, unknown>>;
const isRecord = (value: unknown): value is Schema => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The schema of one argument; undefined for tools and arguments that the client did not describe. */
export function schemaOf(tools: readonly ToolSpec[], tool: string, argument: string): Schema | undefined {
  const properties = tools.find(({ name }) => name === tool)?.parameters?.['properties'];
  if (!isRecord(properties) || !Object.hasOwn(properties, argument)) return undefined;
  const schema = properties[argument];
  return isRecord(schema) ? schema : undefined;
}

/** JSON text of an argument that the model wrote as bare text, in the type that the schema asks for; text where it fits none. */
export function typedText(raw: string, schema: Schema | undefined): string {
  const types = schema === undefined ? undefined : typesOf(schema, 0);
  if (types === undefined || types.size === 0) return JSON.stringify(raw);
  const text = raw.trim();
  if (text === 'null' && (types.has('null') || !types.has('string'))) return 'null';
  for (const type of ['integer', 'number', 'boolean', 'object', 'array'] as const) {
    const json = types.has(type) ? readers[type](text) : undefined;
    if (json !== undefined) return json;
  }
  return JSON.stringify(raw);
}

/** JSON text of an argument whose family writes JSON values bare and texts as they are. */
export const jsonOrText = (raw: string): string => compactJson(raw) ?? JSON.stringify(raw);

const numeric = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

const opening = (text: string, char: string): string | undefined => (text.startsWith(char) ? compactJson(text) : undefined);

const readers: Readonly<Record<'integer' | 'number' | 'boolean' | 'object' | 'array', (text: string) => string | undefined>> = {
  integer: (text) => (numeric.test(text) ? text : undefined),
  number: (text) => (numeric.test(text) ? text : undefined),
  boolean: (text) => (/^(?:true|false)$/i.test(text) ? text.toLowerCase() : undefined),
  object: (text) => opening(text, '{'),
  array: (text) => opening(text, '['),
};

/** The types that a schema allows, through its alternatives; schemas are the client's and may be anything. */
function typesOf(schema: Schema, depth: number): Set<string> {
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
