import type { Arguments, Expression, NamedCall } from './ast.ts';
import { getAttribute } from './attributes.ts';
import { compileExpression, describe, type Evaluate } from './compile-expression.ts';
import { filters } from './filters/index.ts';
import { Loop, recurseWith } from './loop.ts';
import { methodsNamed } from './methods.ts';
import { print } from './print.ts';
import type { Frame, Scope } from './scope.ts';
import { TemplateError } from './template-error.ts';
import { type Test, tests } from './tests.ts';
import { type Callable, dictEntries, isDict, iterate, type Named, typeName } from './values.ts';

/** Compiled arguments; what is constant is made once. */
export interface CompiledArguments {
  readonly positional: (frame: Frame) => readonly unknown[];
  readonly named: ((frame: Frame) => Named) | undefined;
}

const none: readonly unknown[] = [];

/** Compiles what stands between the parentheses of a call. */
export function compileArguments(args: Arguments, scope: Scope): CompiledArguments {
  const values = args.positional.map((value) => compileExpression(value, scope));
  const spread = args.spread === undefined ? undefined : compileExpression(args.spread, scope);
  return { positional: positionalOf(values, spread), named: namedOf(args, scope) };
}

function positionalOf(values: readonly Evaluate[], spread: Evaluate | undefined): CompiledArguments['positional'] {
  if (spread !== undefined) return (frame) => [...values.map((value) => value(frame)), ...iterate(spread(frame))];
  const [first] = values;
  if (first === undefined) return () => none;
  if (values.length === 1) return (frame) => [first(frame)];
  return (frame) => values.map((value) => value(frame));
}

function namedOf(args: Arguments, scope: Scope): CompiledArguments['named'] {
  if (args.keyword.length === 0 && args.keywordSpread === undefined) return undefined;
  const entries = args.keyword.map(([key, value]) => ({ key, value: compileExpression(value, scope) }));
  const spread = args.keywordSpread === undefined ? undefined : compileExpression(args.keywordSpread, scope);
  return (frame) => {
    const named = new Map<string, unknown>();
    for (const { key, value } of entries) named.set(key, value(frame));
    if (spread === undefined) return named;
    const extra = spread(frame);
    if (!isDict(extra)) throw new TemplateError(`argument after ** must be a mapping, not ${typeName(extra)}`);
    for (const [key, value] of dictEntries(extra)) named.set(print(key), value);
    return named;
  };
}

/** Compiles a call of a function, macro or method. */
export function compileCall({ target, args, line }: Extract<Expression, { type: 'call' }>, scope: Scope): Evaluate {
  const { positional, named } = compileArguments(args, scope);
  if (target.type === 'attribute') return compileMethod(target, { positional, named }, scope);
  const callee = compileExpression(target, scope);
  return (frame) => invoke(callee(frame), positional(frame), named?.(frame), { line, target });
}

function invoke(callee: unknown, args: readonly unknown[], named: Named | undefined, at: { line: number; target: Expression }): unknown {
  if (typeof callee === 'function') return (callee as Callable)(args, named);
  if (callee instanceof Loop) return recurseWith(callee)(args, named);
  if (callee === undefined) throw new TemplateError(`'${describe(at.target)}' is undefined`, at.line);
  throw new TemplateError(`'${typeName(callee)}' object is not callable`, at.line);
}

function compileMethod(target: Extract<Expression, { type: 'attribute' }>, { positional, named }: CompiledArguments, scope: Scope): Evaluate {
  const { name, line } = target;
  const of = compileExpression(target.target, scope);
  const { text } = methodsNamed(name);
  return (frame) => {
    const self = of(frame);
    if (typeof self === 'string' && text !== undefined) return text(self, positional(frame), named?.(frame));
    if (self === undefined) throw new TemplateError(`'${describe(target.target)}' is undefined, so it has no '${name}'`, line);
    const method = getAttribute(self, name);
    if (method === undefined) throw new TemplateError(`'${typeName(self)}' object has no attribute '${name}'`, line);
    return invoke(method, positional(frame), named?.(frame), { line, target });
  };
}

/** Compiles a filter on a value that is compiled already. */
export function compileFilter(target: Evaluate, { name, args, line }: NamedCall, scope: Scope): Evaluate {
  const filter = filters.get(name);
  if (filter === undefined) return unknownName(`no filter named '${name}'`, line, scope);
  const { positional, named } = compileArguments(args, scope);
  return (frame) => filter(target(frame), positional(frame), named?.(frame));
}

function unknownName(message: string, line: number, scope: Scope): Evaluate {
  const error = new TemplateError(message, line);
  if (!scope.conditional) throw error;
  return () => {
    throw error;
  };
}

/** Tests that ask for what this file knows. */
const nameTests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['filter', (value) => filters.has(String(value))],
  ['test', (value) => tests.has(String(value)) || nameTests.has(String(value))],
]);

/** Compiles an `is` test. */
export function compileTest({ target, call, negated }: Extract<Expression, { type: 'test' }>, scope: Scope): Evaluate {
  const test = tests.get(call.name) ?? nameTests.get(call.name);
  if (test === undefined) return unknownName(`no test named '${call.name}'`, call.line, scope);
  const value = compileExpression(target, scope);
  const { positional } = compileArguments(call.args, scope);
  if (call.args.positional.length === 0) return (frame) => test(value(frame)) !== negated;
  return (frame) => test(value(frame), ...positional(frame)) !== negated;
}
