import { Float } from '@dynamo/runtime/internal';
import { roundTo } from '../format-number.ts';
import { negate } from '../operators.ts';
import { strip } from '../string-methods.ts';
import { TemplateError } from '../template-error.ts';
import { makeFloat, makeInteger, numeric, textOf, typeName, wholeNumber } from '../values.ts';
import { filter, type Filter } from './filter.ts';

const floatForm = /^[+-]?(?:(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?|inf(?:inity)?|nan)$/i;

function parseFloatText(text: string): number | undefined {
  const bare = strip(text, undefined, 'both');
  if (!floatForm.test(bare)) return undefined;
  if (/inf/i.test(bare)) return bare.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(bare.replaceAll('_', ''));
}

function toFloat(value: unknown, fallback: unknown = new Float(0)): unknown {
  const number = typeof value === 'string' ? parseFloatText(value) : numeric(value)?.value;
  return number === undefined ? fallback : makeFloat(Number(number));
}

const digits = '0123456789abcdefghijklmnopqrstuvwxyz';

function parseInteger(text: string, base: number): number | bigint | undefined {
  const [, sign, prefix, body] = /^([+-]?)(0[xXoObB])?(\w+)$/.exec(strip(text, undefined, 'both')) ?? [];
  if (body === undefined || body.length > 1000) return undefined;
  const named = prefix === undefined ? undefined : { x: 16, o: 8, b: 2 }[prefix.charAt(1).toLowerCase()];
  if (named !== undefined && base !== named && base !== 0) return undefined;
  const radix = base === 0 ? (named ?? 10) : base;
  let value = 0n;
  for (const sign of body.toLowerCase().replace(/(?<=\w)_(?=\w)/g, '')) {
    const digit = digits.indexOf(sign);
    if (digit < 0 || digit >= radix) return undefined;
    value = value * BigInt(radix) + BigInt(digit);
  }
  return makeInteger(sign === '-' ? -value : value);
}

function toInteger(value: unknown, fallback: unknown = 0, base: unknown = 10): unknown {
  if (typeof value === 'string') {
    const whole = parseInteger(value, wholeNumber(base, 'base'));
    if (whole !== undefined) return whole;
    const float = parseFloatText(value);
    return float !== undefined && Number.isFinite(float) ? truncate(float) : fallback;
  }
  const number = numeric(value);
  if (number === undefined) return fallback;
  if (!number.isFloat) return typeof number.value === 'bigint' ? makeInteger(number.value) : number.value;
  return Number.isFinite(number.value) ? truncate(Number(number.value)) : fallback;
}

const truncate = (value: number): number | bigint => makeInteger(BigInt(Math.trunc(value)));

function round(value: unknown, precision: unknown = 0, method: unknown = 'common'): unknown {
  const number = numeric(value);
  if (number === undefined) throw new TemplateError(`type ${typeName(value)} can't be rounded`);
  const decimals = wholeNumber(precision, 'precision');
  const how = textOf(method, 'method');
  const scale = 10 ** decimals;
  if (how === 'ceil') return makeFloat(Math.ceil(Number(number.value) * scale) / scale);
  if (how === 'floor') return makeFloat(Math.floor(Number(number.value) * scale) / scale);
  if (how !== 'common') throw new TemplateError('method must be common, ceil or floor');
  if (!number.isFloat && decimals >= 0) return value;
  const rounded = decimals < 0 ? Math.round(Number(number.value) * scale) / scale : Number(roundTo(Number(number.value), Math.min(decimals, 100)));
  return makeFloat(Object.is(rounded, -0) ? -0 : rounded);
}

function absolute(value: unknown): unknown {
  const number = numeric(value);
  if (number === undefined) throw new TemplateError(`bad operand type for abs(): '${typeName(value)}'`);
  return number.value < 0 || Object.is(number.value, -0) ? negate(value) : typeof value === 'boolean' ? Number(value) : value;
}

/** Jinja2's filters on numbers. */
export const numberFilters: readonly [string, Filter][] = [
  filter('abs', [], absolute),
  filter('float', ['default?'], toFloat),
  filter('int', ['default?', 'base?'], toInteger),
  filter('round', ['precision?', 'method?'], round),
];
