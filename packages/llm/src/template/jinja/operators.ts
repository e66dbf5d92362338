import type { Operator } from './ast.ts';
import { formatPercent } from './format-percent.ts';
import { checkText, TemplateError } from './template-error.ts';
import { makeFloat, makeInteger, numeric, type Numeric, Tuple, tuple, typeName } from './values.ts';

/** Most bits that a whole number may have; without a limit `10 ** (10 ** 10)` would take all memory. */
const maxBits = 4096;

/** Python's `+`. */
export function add(a: unknown, b: unknown): unknown {
  if (typeof a === 'string' && typeof b === 'string') {
    checkText(a.length + b.length);
    return a + b;
  }
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum) && Number.isInteger(a) && Number.isInteger(b)) return sum;
  }
  if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple) {
    checkText(a.length + b.length);
    return a instanceof Tuple ? tuple(...a, ...b) : [...a, ...b];
  }
  return arithmetic('+', a, b);
}

/** Python's operators on numbers, texts and lists. */
export function operate(operator: Operator, a: unknown, b: unknown): unknown {
  if (operator === '+') return add(a, b);
  if (operator === '*') {
    if (isSequence(a)) return repeat(a, b);
    if (isSequence(b)) return repeat(b, a);
  }
  if (operator === '%' && typeof a === 'string') return formatPercent(a, b);
  return arithmetic(operator, a, b);
}

const isSequence = (value: unknown): value is string | unknown[] => typeof value === 'string' || Array.isArray(value);

function repeat(sequence: string | readonly unknown[], count: unknown): unknown {
  const times = numeric(count);
  if (times === undefined || times.isFloat) throw new TemplateError(`can't multiply a sequence by '${typeName(count)}'`);
  const rounds = Math.max(0, Number(times.value));
  checkText(sequence.length * rounds);
  if (typeof sequence === 'string') return sequence.repeat(rounds);
  const items = Array.from({ length: rounds }, () => sequence).flat();
  return sequence instanceof Tuple ? tuple(...items) : items;
}

function arithmetic(operator: Operator, a: unknown, b: unknown): unknown {
  const left = numeric(a);
  const right = numeric(b);
  if (left === undefined || right === undefined) throw unsupported(operator, a, b);
  if ((operator === '/' || operator === '//' || operator === '%') && Number(right.value) === 0) throw new TemplateError('division by zero');
  if (operator === '**') return power(left, right);
  if (left.isFloat || right.isFloat || operator === '/') return makeFloat(onNumbers(operator, Number(left.value), Number(right.value)));
  const fast = typeof left.value === 'number' && typeof right.value === 'number' ? onNumbers(operator, left.value, right.value) : Number.NaN;
  return Number.isSafeInteger(fast) ? fast : makeInteger(onBigInts(operator, BigInt(left.value), BigInt(right.value)));
}

function unsupported(operator: Operator, a: unknown, b: unknown): TemplateError {
  if (a === undefined || b === undefined) return new TemplateError(`an undefined value can't be used with ${operator}`);
  return new TemplateError(`unsupported operand types for ${operator}: '${typeName(a)}' and '${typeName(b)}'`);
}

function onNumbers(operator: Operator, a: number, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '//':
      return Math.floor(a / b);
    default:
      return modulo(a, b);
  }
}

/** The remainder with the divisor's sign. */
function modulo(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

function onBigInts(operator: Operator, a: bigint, b: bigint): bigint {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return limited(a * b);
    case '//':
      return (a - bigModulo(a, b)) / b;
    default:
      return bigModulo(a, b);
  }
}

function bigModulo(a: bigint, b: bigint): bigint {
  const rest = a % b;
  return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
}

function limited(value: bigint): bigint {
  if (value.toString(16).length * 4 > maxBits) throw new TemplateError('a whole number is too large');
  return value;
}

function power(base: Numeric, exponent: Numeric): unknown {
  if (base.isFloat || exponent.isFloat || exponent.value < 0) {
    if (Number(base.value) === 0 && exponent.value < 0) throw new TemplateError('0.0 cannot be raised to a negative power');
    return makeFloat(Number(base.value) ** Number(exponent.value));
  }
  const [value, times] = [BigInt(base.value), BigInt(exponent.value)];
  if (value > 1n || value < -1n) {
    const bits = (value < 0n ? -value : value).toString(2).length;
    if (times * BigInt(bits) > maxBits) throw new TemplateError('a whole number is too large');
  }
  return makeInteger(value ** times);
}

/** Python's unary minus. */
export function negate(value: unknown): unknown {
  const operand = numeric(value);
  if (operand === undefined) throw new TemplateError(`bad operand type for unary -: '${typeName(value)}'`);
  if (operand.isFloat) return makeFloat(-Number(operand.value));
  return typeof operand.value === 'bigint' ? makeInteger(-operand.value) : 0 - operand.value;
}

/** Python's unary plus. */
export function affirm(value: unknown): unknown {
  if (numeric(value) === undefined) throw new TemplateError(`bad operand type for unary +: '${typeName(value)}'`);
  return typeof value === 'boolean' ? Number(value) : value;
}
