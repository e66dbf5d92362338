import { isJson, type JsonPart, partsOf } from '../text/json-text.ts';
import type { WholeCall } from './parser.ts';

/** Names under which models write a call's arguments. */
export const argumentNames: ReadonlySet<string> = new Set(['arguments', 'parameters', 'args']);

/** Names with which the object of a call may begin. */
export const callMembers: ReadonlySet<string> = new Set(['name', 'arguments', 'parameters', 'type', 'function', 'id']);

/**
 * The calls that a JSON text makes: an object, or a list of them. Their arguments are the model's own text.
 *
 * Undefined when it is no JSON or makes no call. With `known`, an object without arguments is one only by such a name.
 */
export function callsOf(json: string, options: { known?: ReadonlySet<string> } = {}): readonly WholeCall[] | undefined {
  if (!isJson(json)) return undefined;
  const text = json.trim();
  const found = text.startsWith('[') ? partsOf(text).map((part) => callOf(part.text, options)) : [callOf(text, options)];
  const calls = found.filter((call) => call !== undefined);
  return calls.length > 0 && calls.length === found.length ? calls : undefined;
}

function callOf(json: string, options: { known?: ReadonlySet<string>; inner?: boolean }): WholeCall | undefined {
  if (!json.startsWith('{')) return undefined;
  const members = partsOf(json);
  const member = (wanted: (name: string) => boolean): JsonPart | undefined => members.find(({ name }) => name !== undefined && wanted(name));
  const name = textOf(member((one) => one === 'name'));
  if (name === undefined) {
    const inner = options.inner === true ? undefined : member((one) => one === 'function')?.text;
    return inner === undefined ? undefined : callOf(inner, { ...options, inner: true });
  }
  const given = member((one) => argumentNames.has(one));
  if (given === undefined && options.known?.has(name) === false) return undefined;
  return { name, arguments: given?.text ?? '{}' };
}

/** A JSON string's value. */
function textOf(part: JsonPart | undefined): string | undefined {
  return part?.text.startsWith('"') === true ? (JSON.parse(part.text) as string) : undefined;
}
