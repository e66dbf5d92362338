import { checkText, TemplateError } from './template-error.ts';
import { floatText, print, represent } from './print.ts';
import { numeric, typeName } from './values.ts';

/** One field of `str.format` or `%` formatting. */
export interface FormatField {
  readonly fill: string;
  readonly align: '<' | '>' | '^' | '=' | '';
  readonly sign: string;
  readonly alternate: boolean;
  readonly width: number;
  readonly grouping: string;
  readonly precision: number | undefined;
  readonly type: string;
}

/** Writes a value by a field's rules, those of Python's format mini-language. */
export function formatField(value: unknown, field: FormatField): string {
  checkText(field.width);
  const number = numeric(value);
  const isText = typeof value === 'string' || number === undefined || typeof value === 'boolean';
  if (field.type === 's' || (field.type === '' && isText)) {
    const text = print(value);
    return pad(field.precision === undefined ? text : text.slice(0, field.precision), '', field, '<');
  }
  if (number === undefined) throw new TemplateError(`format '${field.type}' needs a number, not ${typeName(value)}`);
  const negative = number.value < 0 || Object.is(number.value, -0);
  const digits = digitsOf(number.value, number.isFloat, field);
  return pad(digits, negative ? '-' : field.sign === '-' ? '' : field.sign, field, '>');
}

function digitsOf(value: number | bigint, isFloat: boolean, field: FormatField): string {
  switch (field.type) {
    case 'd':
    case 'i':
    case 'u':
      return grouped(absolute(BigInt(typeof value === 'number' ? Math.trunc(value) : value)), field);
    case 'x':
    case 'X':
    case 'o':
    case 'b':
      return inBase(BigInt(value), field);
    case '':
      if (!isFloat) return grouped(absolute(BigInt(value)), field);
      return grouped(field.precision === undefined ? floatText(Math.abs(Number(value))) : general(Math.abs(Number(value)), field.precision), field);
    case 'c':
      return String.fromCodePoint(Number(value));
    default:
      return grouped(floating(Math.abs(Number(value)), field), field);
  }
}

const absolute = (value: bigint): string => (value < 0n ? -value : value).toString();

function inBase(value: bigint, field: FormatField): string {
  const base = { x: 16, o: 8, b: 2 }[field.type.toLowerCase()] ?? 10;
  const digits = (value < 0n ? -value : value).toString(base);
  const text = (field.alternate ? `0${field.type.toLowerCase()}` : '') + digits;
  return field.type === 'X' ? text.toUpperCase() : text;
}

function floating(value: number, field: FormatField): string {
  if (!Number.isFinite(value)) return floatText(value);
  const precision = Math.min(field.precision ?? 6, 100);
  switch (field.type) {
    case 'f':
    case 'F':
      return roundTo(value, precision);
    case '%':
      return `${roundTo(value * 100, precision)}%`;
    case 'e':
    case 'E': {
      const text = value.toExponential(precision).replace(/e([+-])(\d)$/, 'e$10$2');
      return field.type === 'E' ? text.toUpperCase() : text;
    }
    case 'g':
    case 'G':
      return field.type === 'G' ? general(value, precision).toUpperCase() : general(value, precision);
    default:
      throw new TemplateError(`unknown format type '${field.type}'`);
  }
}

function general(value: number, precision: number): string {
  if (!Number.isFinite(value)) return floatText(value);
  const digits = Math.max(1, Math.min(precision, 100));
  const [mantissa = '', power = '0'] = value.toExponential(digits - 1).split('e');
  const exponent = Number(power);
  const trim = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  if (exponent < -4 || exponent >= digits) return `${trim(mantissa)}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  return trim(value.toFixed(Math.max(0, digits - 1 - exponent)));
}

/** A fixed number of decimals, ties to even: a tie is only what the binary value holds exactly. */
export function roundTo(value: number, decimals: number): string {
  const doubled = value * 2 ** (decimals + 1);
  const scaled = value * 10 ** decimals;
  if (Number.isInteger(doubled) && Math.abs(scaled % 1) === 0.5 && Math.abs(scaled) < 2 ** 52) {
    return ((2 * Math.round(scaled / 2)) / 10 ** decimals).toFixed(decimals);
  }
  return value.toFixed(decimals);
}

function grouped(digits: string, field: FormatField): string {
  if (field.grouping === '') return digits;
  const [, whole = '', rest = ''] = /^(\d+)(.*)$/s.exec(digits) ?? [];
  return whole.replace(/\B(?=(\d{3})+$)/g, field.grouping) + rest;
}

function pad(text: string, sign: string, field: FormatField, usual: '<' | '>'): string {
  const missing = field.width - Array.from(text).length - sign.length;
  if (missing <= 0) return sign + text;
  const fill = (count: number): string => field.fill.repeat(count);
  switch (field.align === '' ? usual : field.align) {
    case '<':
      return sign + text + fill(missing);
    case '^':
      return fill(missing >> 1) + sign + text + fill(missing - (missing >> 1));
    case '=':
      return sign + fill(missing) + text;
    default:
      return fill(missing) + sign + text;
  }
}

/** Applies a field's conversion, `!r` or `!s`. */
export const convert = (value: unknown, how: string | undefined): unknown =>
  how === undefined ? value : how === 's' ? print(value) : represent(value);
