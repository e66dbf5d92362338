import { Float } from '@dynamo/runtime/internal';
import { floatText, print } from './print.ts';
import { checkText, maxDepth, TemplateError } from './template-error.ts';
import { dictEntries, isDict, Opaque, order, typeName } from './values.ts';

/** The arguments of `tojson` as transformers defines it. */
export interface JsonOptions {
  readonly ensureAscii: boolean;
  /** One level's indentation; without it everything stays on one line. */
  readonly indent: string | undefined;
  readonly separators: readonly [item: string, key: string];
  readonly sortKeys: boolean;
}

/** What `tojson` does without arguments. */
export const plainJson: JsonOptions = { ensureAscii: false, indent: undefined, separators: [', ', ': '], sortKeys: false };

/** Python's `json.dumps`. */
export function writeJson(value: unknown, options: JsonOptions = plainJson): string {
  return write(value, options, 0);
}

function write(value: unknown, options: JsonOptions, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quote(value, options);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'bigint':
      return String(value);
    case 'number':
      return Number.isSafeInteger(value) ? String(value) : Number.isInteger(value) ? String(BigInt(value)) : jsonFloat(value);
    default:
  }
  if (value === null) return 'null';
  if (value instanceof Float) return jsonFloat(value.value);
  if (depth > maxDepth) throw new TemplateError('a value is nested too deep for JSON');
  if (Array.isArray(value))
    return enclose(
      '[',
      ']',
      value.map((item) => write(item, options, depth + 1)),
      options,
      depth,
    );
  if (value === undefined || typeof value === 'function' || value instanceof Opaque || !isDict(value)) {
    throw new TemplateError(`Object of type ${typeName(value)} is not JSON serializable`);
  }
  return writeDict(value, options, depth);
}

function writeDict(dict: Parameters<typeof dictEntries>[0], options: JsonOptions, depth: number): string {
  const entries = dictEntries(dict);
  if (options.sortKeys) entries.sort(([a], [b]) => order(a, b));
  const members = entries.map(([key, value]) => quote(keyText(key), options) + options.separators[1] + write(value, options, depth + 1));
  return enclose('{', '}', members, options, depth);
}

function enclose(open: string, close: string, members: readonly string[], options: JsonOptions, depth: number): string {
  if (members.length === 0) return open + close;
  if (options.indent === undefined) return open + members.join(options.separators[0]) + close;
  const line = `\n${options.indent.repeat(depth + 1)}`;
  const text = open + line + members.join(options.separators[0] + line) + `\n${options.indent.repeat(depth)}` + close;
  checkText(text.length);
  return text;
}

function keyText(key: unknown): string {
  if (typeof key === 'boolean') return key ? 'true' : 'false';
  if (key === null) return 'null';
  if (typeof key === 'object' && !(key instanceof Float)) throw new TemplateError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
  return print(key);
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? floatText(value) : value > 0 ? 'Infinity' : '-Infinity';
}

function quote(text: string, options: JsonOptions): string {
  const quoted = JSON.stringify(text);
  return options.ensureAscii ? quoted.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`) : quoted;
}
