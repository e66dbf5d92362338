import { Float } from '@dynamo/runtime/internal';
import { checkText, maxDepth, TemplateError } from './template-error.ts';
import { dictEntries, isDict, Opaque, Tuple } from './values.ts';

/** Python's `str`. */
export function print(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'undefined':
      return '';
    default:
      return represent(value);
  }
}

/** Python's `repr`. */
export function represent(value: unknown, depth = 0): string {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'undefined':
      return 'Undefined';
    case 'boolean':
      return value ? 'True' : 'False';
    case 'bigint':
      return String(value);
    case 'number':
      return Number.isInteger(value) ? integerText(value) : floatText(value);
    case 'function':
      return `<function ${value.name}>`;
    default:
  }
  if (value === null) return 'None';
  if (value instanceof Float) return floatText(value.value);
  if (depth > maxDepth) throw new TemplateError('a value is nested too deep to print');
  if (Array.isArray(value)) return list(value, depth);
  if (value instanceof Opaque) return `<${value.typeName}>`;
  return isDict(value) ? dict(value, depth) : '';
}

function list(items: readonly unknown[], depth: number): string {
  const text = items.map((item) => represent(item, depth + 1)).join(', ');
  checkText(text.length);
  if (!(items instanceof Tuple)) return `[${text}]`;
  return items.length === 1 ? `(${text},)` : `(${text})`;
}

function dict(value: Parameters<typeof dictEntries>[0], depth: number): string {
  const text = dictEntries(value)
    .map(([key, member]) => `${represent(key, depth + 1)}: ${represent(member, depth + 1)}`)
    .join(', ');
  checkText(text.length);
  return `{${text}}`;
}

const integerText = (value: number): string => (Number.isSafeInteger(value) ? String(value + 0) : String(BigInt(value)));

/** Python's `repr` of a float: the shortest digits that read back the same, an exponent below 1e-4 and from 1e16. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [digits = '', power = '0'] = value.toExponential().split('e');
  const exponent = Number(power);
  if (exponent >= 16 || exponent < -4) return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  if (Number.isInteger(value)) return `${BigInt(value)}.0`;
  return exponent < 0 ? plainSmall(digits, exponent) : String(value);
}

function plainSmall(digits: string, exponent: number): string {
  const sign = digits.startsWith('-') ? '-' : '';
  return `${sign}0.${'0'.repeat(-exponent - 1)}${digits.replace(/[-.]/g, '')}`;
}

/** What Python's `repr` escapes: controls, separators other than the blank, lone surrogates, what has no shape. */
const special = /\\|(?! )[\p{C}\p{Z}]/gu;
const short: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replace(special, (sign) => short[sign] ?? escapeUnit(sign.codePointAt(0) ?? 0));
  return `${mark}${mark === "'" ? body.replaceAll("'", "\\'") : body}${mark}`;
}

function escapeUnit(unit: number): string {
  const digits = unit.toString(16);
  if (unit < 0x100) return `\\x${digits.padStart(2, '0')}`;
  return unit < 0x10000 ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
}
