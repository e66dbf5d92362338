import type { Comparison, Expression, Relation } from './ast.ts';
import { getAttribute, getItem, slice } from './attributes.ts';
import { compileCall, compileFilter, compileTest } from './compile-call.ts';
import { methodsNamed } from './methods.ts';
import { add, affirm, negate, operate } from './operators.ts';
import { print } from './print.ts';
import { type Frame, type Place, type Scope, unset } from './scope.ts';
import { checkText, TemplateError } from './template-error.ts';
import { contains, equals, mapKey, order, truthy, tuple } from './values.ts';

/** A compiled expression. */
export type Evaluate = (frame: Frame) => unknown;

/** Compiles an expression to a closure. */
export function compileExpression(expression: Expression, scope: Scope): Evaluate {
  switch (expression.type) {
    case 'constant': {
      const { value } = expression;
      return () => value;
    }
    case 'name':
      return compileName(expression.name, scope);
    case 'attribute':
      return compileAttribute(expression, scope);
    case 'item':
      return compileItem(expression, scope);
    case 'slice':
      return compileSlice(expression, scope);
    case 'call':
      return compileCall(expression, scope);
    case 'filter':
      return compileFilter(compileExpression(expression.target, scope), expression.call, scope);
    case 'test':
      return compileTest(expression, scope);
    case 'condition':
      return compileCondition(expression, scope);
    case 'compare':
      return compileCompare(expression.first, expression.rest, scope);
    default:
      return compileOperation(expression, scope);
  }
}

function compileOperation(expression: Expression, scope: Scope): Evaluate {
  const compile = (part: Expression): Evaluate => compileExpression(part, scope);
  switch (expression.type) {
    case 'list':
    case 'tuple':
    case 'concat':
      return compileItems(expression.type, expression.items.map(compile));
    case 'dict':
      return compileDict(expression.entries.map(([key, value]): [Evaluate, Evaluate] => [compile(key), compile(value)]));
    case 'and': {
      const [left, right] = [compile(expression.left), compileExpression(expression.right, scope.branch())];
      return (frame) => {
        const value = left(frame);
        return truthy(value) ? right(frame) : value;
      };
    }
    case 'or': {
      const [left, right] = [compile(expression.left), compileExpression(expression.right, scope.branch())];
      return (frame) => {
        const value = left(frame);
        return truthy(value) ? value : right(frame);
      };
    }
    case 'not': {
      const operand = compile(expression.operand);
      return (frame) => !truthy(operand(frame));
    }
    case 'negative': {
      const operand = compile(expression.operand);
      return (frame) => negate(operand(frame));
    }
    case 'positive': {
      const operand = compile(expression.operand);
      return (frame) => affirm(operand(frame));
    }
    case 'arithmetic': {
      const [left, right, { operator }] = [compile(expression.left), compile(expression.right), expression];
      return operator === '+' ? (frame) => add(left(frame), right(frame)) : (frame) => operate(operator, left(frame), right(frame));
    }
    default:
      throw new TemplateError(`no such expression: ${expression.type}`);
  }
}

function compileItems(type: 'list' | 'tuple' | 'concat', items: readonly Evaluate[]): Evaluate {
  if (type === 'list') return (frame) => items.map((item) => item(frame));
  if (type === 'tuple') return (frame) => tuple(...items.map((item) => item(frame)));
  return (frame) => {
    let text = '';
    for (const item of items) text += print(item(frame));
    checkText(text.length);
    return text;
  };
}

function compileDict(entries: readonly (readonly [Evaluate, Evaluate])[]): Evaluate {
  return (frame) => {
    const dict = new Map<unknown, unknown>();
    for (const [key, value] of entries) dict.set(mapKey(key(frame)), value(frame));
    return dict;
  };
}

/** Reads a variable from the nearest of its places that is set. */
export function compileName(name: string, scope: Scope): Evaluate {
  const places = scope.resolve(name);
  const [first, second] = places as [Place, Place?];
  if (second === undefined) return readPlace(first);
  const near = readPlace(first);
  const far = places
    .slice(1)
    .map(readPlace)
    .reduceRight((rest, read) => fallBack(read, rest));
  return fallBack(near, far);
}

const fallBack =
  (near: Evaluate, far: Evaluate): Evaluate =>
  (frame) => {
    const value = near(frame);
    return value === unset ? far(frame) : value;
  };

function readPlace({ hops, slot }: Place): Evaluate {
  if (hops === 0) return (frame) => frame.slots[slot];
  if (hops === 1) return (frame) => frame.outer?.slots[slot];
  return (frame) => {
    let at: Frame | undefined = frame;
    for (let hop = 0; hop < hops; hop++) at = at?.outer;
    return at?.slots[slot];
  };
}

/** True when no plain object has the name from its prototype, and no dict has a method of that name. */
const isPlainMember = (name: string): boolean => !(name in Object.prototype) && methodsNamed(name).dict === undefined;

function compileAttribute(expression: Extract<Expression, { type: 'attribute' }>, scope: Scope): Evaluate {
  const { name, line } = expression;
  const target = compileExpression(expression.target, scope);
  const plain = isPlainMember(name);
  return (frame) => {
    const value = target(frame);
    if (plain && typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
      return (value as Record<string, unknown>)[name];
    }
    if (value === undefined) throw new TemplateError(`'${describe(expression.target)}' is undefined, so it has no '${name}'`, line);
    return getAttribute(value, name);
  };
}

function compileItem(expression: Extract<Expression, { type: 'item' }>, scope: Scope): Evaluate {
  const { line } = expression;
  const target = compileExpression(expression.target, scope);
  const key = compileExpression(expression.key, scope);
  return (frame) => {
    const value = target(frame);
    const index = key(frame);
    if (typeof index === 'number' && index >= 0 && Array.isArray(value)) return value[index] as unknown;
    if (value === undefined) throw new TemplateError(`'${describe(expression.target)}' is undefined, so it has no elements`, line);
    return getItem(value, index);
  };
}

function compileSlice(expression: Extract<Expression, { type: 'slice' }>, scope: Scope): Evaluate {
  const target = compileExpression(expression.target, scope);
  const bounds = expression.bounds.map((part) => (part === undefined ? (): null => null : compileExpression(part, scope)));
  return (frame) => {
    const value = target(frame);
    if (value === undefined) throw new TemplateError(`'${describe(expression.target)}' is undefined, so it can't be sliced`, expression.line);
    return slice(
      value,
      bounds.map((part) => part(frame)),
    );
  };
}

/** An expression as its source has it, for messages. */
export function describe(expression: Expression): string {
  switch (expression.type) {
    case 'name':
      return expression.name;
    case 'attribute':
      return `${describe(expression.target)}.${expression.name}`;
    case 'item':
      return `${describe(expression.target)}[${describe(expression.key)}]`;
    case 'constant':
      return typeof expression.value === 'string' ? JSON.stringify(expression.value) : print(expression.value);
    default:
      return '…';
  }
}

function compileCondition(expression: Extract<Expression, { type: 'condition' }>, scope: Scope): Evaluate {
  const test = compileExpression(expression.test, scope);
  const then = compileExpression(expression.value, scope.branch());
  const otherwise = expression.otherwise === undefined ? (): undefined => undefined : compileExpression(expression.otherwise, scope.branch());
  return (frame) => (truthy(test(frame)) ? then(frame) : otherwise(frame));
}

const relations: Readonly<Record<Relation, (a: unknown, b: unknown) => boolean>> = {
  '==': equals,
  '!=': (a, b) => !equals(a, b),
  '<': (a, b) => order(a, b) < 0,
  '<=': (a, b) => order(a, b) <= 0,
  '>': (a, b) => order(a, b) > 0,
  '>=': (a, b) => order(a, b) >= 0,
  in: (a, b) => contains(b, a),
  'not in': (a, b) => !contains(b, a),
};

function compileCompare(first: Expression, rest: readonly Comparison[], scope: Scope): Evaluate {
  const left = compileExpression(first, scope);
  const links = rest.map(({ relation, right }) => ({ holds: relations[relation], right: compileExpression(right, scope) }));
  const [only] = links;
  if (only !== undefined && links.length === 1) {
    const { holds, right } = only;
    return (frame) => holds(left(frame), right(frame));
  }
  return (frame) => {
    let value = left(frame);
    for (const { holds, right } of links) {
      const next = right(frame);
      if (!holds(value, next)) return false;
      value = next;
    }
    return true;
  };
}
