import { refused } from '../failure.ts';
import { isMap } from '../spelling.ts';

type Schema = Readonly<Record<string, unknown>>;
interface Node {
  readonly path: string;
  readonly value: unknown;
}

/** Keywords that strict schemas may not have (observed in 1.6.1: `allOf`). */
const refusedKeywords = ['allOf', 'oneOf', 'not'];

/**
 * The rules that 1.6.1 adds for a function with `strict: true`: every object names all its properties as required and
 * takes no others. Looked at level by level, so that the outermost fault is reported.
 *
 * 1.6.1 has further rules for strict schemas (references, limits, keyword types); what they alone would refuse is let
 * through here and left to the engine.
 */
export function checkStrictSchema(functionName: string, root: object): void {
  const invalid = (path: string, what: string): Error => refused(`Invalid schema for function '${functionName}': In context=#${path}, ${what}`);
  const nodes: Node[] = [{ path: '', value: root }];
  for (let index = 0; index < nodes.length; index++) {
    const { path, value } = nodes[index] as Node;
    if (typeof value === 'boolean') continue;
    if (!isMap(value)) throw invalid(path, 'schema must be an object or boolean');
    const schema = value as Schema;
    const keyword = refusedKeywords.find((name) => Object.hasOwn(schema, name));
    if (keyword !== undefined) throw invalid(`${path}/${keyword}`, 'keyword is not supported in strict schemas');
    checkObject(schema, path, invalid);
    for (const child of childrenOf(schema, path, invalid)) nodes.push(child);
  }
  const { type, $ref: reference } = root as Schema;
  if (Object.hasOwn(root, 'anyOf')) throw invalid('', 'root must not use anyOf');
  if (type !== undefined && type !== 'object' && !(Array.isArray(type) && type.every((name) => name === 'object')))
    throw invalid('', 'root must have object-only type');
  if (type === undefined && reference === undefined) {
    throw invalid('', 'unsupported root representation: Dynamo requires an object-only type or local-reference chain');
  }
}

type Invalid = (path: string, what: string) => Error;

function checkObject(schema: Schema, path: string, invalid: Invalid): void {
  const required = schema['required'];
  if (required !== undefined && !(Array.isArray(required) && required.every((name) => typeof name === 'string'))) {
    throw invalid(`${path}/required`, 'must be an array of unique strings');
  }
  const { type } = schema;
  const isObject = type === 'object' || (Array.isArray(type) && type.includes('object')) || Object.hasOwn(schema, 'properties');
  if (!isObject || Object.hasOwn(schema, '$ref')) return;
  if (schema['additionalProperties'] !== false) throw invalid(path, 'object schemas require additionalProperties: false');
  const properties = schema['properties'] ?? {};
  if (!isMap(properties)) throw invalid(`${path}/properties`, 'must be a map of schemas');
  const names = new Set(required as readonly string[] | undefined);
  for (const name of Object.keys(properties).toSorted()) {
    if (!names.delete(name)) throw invalid(`${path}/required`, `must include property '${name}'`);
  }
  const [extra] = [...names].toSorted();
  if (extra !== undefined && !Object.hasOwn(schema, 'patternProperties')) {
    throw invalid(`${path}/required`, `unknown property '${extra}' in a closed object`);
  }
}

/** A path segment as JSON Pointer writes it. */
const pointer = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

function childrenOf(schema: Schema, path: string, invalid: Invalid): Node[] {
  const children: Node[] = [];
  for (const keyword of ['properties', '$defs', 'definitions']) {
    const map = schema[keyword];
    if (map === undefined) continue;
    if (!isMap(map)) throw invalid(`${path}/${keyword}`, 'must be a map of schemas');
    for (const name of Object.keys(map).toSorted()) children.push({ path: `${path}/${keyword}/${pointer(name)}`, value: (map as Schema)[name] });
  }
  const anyOf = schema['anyOf'];
  if (anyOf !== undefined) {
    if (!Array.isArray(anyOf) || anyOf.length === 0) throw invalid(`${path}/anyOf`, 'must be a nonempty array of schemas');
    for (const [index, value] of anyOf.entries()) children.push({ path: `${path}/anyOf/${index}`, value });
  }
  const { items } = schema;
  if (Array.isArray(items)) {
    if (items.length === 0) throw invalid(`${path}/items`, 'must be a nonempty array of schemas');
    for (const [index, value] of items.entries()) children.push({ path: `${path}/items/${index}`, value });
  }
  if (isMap(items)) children.push({ path: `${path}/items`, value: items });
  return children;
}
