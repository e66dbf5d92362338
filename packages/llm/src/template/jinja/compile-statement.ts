import type { Branch, NamedCall, Statement, Target } from './ast.ts';
import { compileFilter } from './compile-call.ts';
import { compileExpression, compileName, type Evaluate } from './compile-expression.ts';
import { compileCallBlock, compileMacro } from './compile-function.ts';
import { compileFor } from './compile-loop.ts';
import { Namespace } from './globals.ts';
import { print } from './print.ts';
import { type Frame, type Scope, unset } from './scope.ts';
import { TemplateError } from './template-error.ts';
import { iterate, truthy } from './values.ts';

/** How a statement ended. */
export type Signal = typeof ended | typeof broken | typeof continued;
export const ended = 0;
/** A `break` is on its way to its loop. */
export const broken = 1;
/** A `continue` is on its way to its loop. */
export const continued = 2;

/** A compiled statement: it writes to the run's output. */
export type Execute = (frame: Frame) => Signal;

/** A compiled assignment. */
export type Assign = (frame: Frame, value: unknown) => void;

/** Compiles statements that run one after the other. What they assign must be declared in the scope already. */
export function compileBody(statements: readonly Statement[], scope: Scope): Execute {
  const steps = statements.map((statement) => compileStatement(statement, scope));
  const [first, second] = steps;
  if (first === undefined) return () => ended;
  if (second === undefined) return first;
  if (steps.length === 2) return (frame) => first(frame) || second(frame);
  return (frame) => {
    for (const step of steps) {
      const signal = step(frame);
      if (signal !== ended) return signal;
    }
    return ended;
  };
}

function compileStatement(statement: Statement, scope: Scope): Execute {
  switch (statement.type) {
    case 'text':
      return compileText(statement.value);
    case 'print':
      return compilePrint(compileExpression(statement.value, scope));
    case 'if':
      return compileIf(statement.branches, compileBody(statement.otherwise, scope.branch()), scope);
    case 'for':
      return compileFor(statement, scope);
    case 'set':
      return compileSet(compileTarget(statement.target, scope), compileExpression(statement.value, scope));
    case 'capture':
      return compileSet(compileTarget(statement.target, scope), compileCapture(statement.body, statement.filters, scope));
    case 'macro':
      return compileSet(compileTarget({ type: 'name', name: statement.name }, scope), compileMacro(statement, scope));
    case 'call':
      return compilePrint(compileCallBlock(statement, scope));
    case 'filtered':
      return compilePrint(compileCapture(statement.body, statement.filters, scope));
    case 'with':
      return compileWith(statement, scope);
    case 'break':
      return () => broken;
    case 'continue':
      return () => continued;
    default:
      throw new TemplateError('no such statement');
  }
}

function compileText(text: string): Execute {
  return (frame) => {
    frame.run.out += text;
    return ended;
  };
}

function compilePrint(value: Evaluate): Execute {
  return (frame) => {
    // The value first: a macro in it writes to the same output.
    const made = value(frame);
    frame.run.out += typeof made === 'string' ? made : print(made);
    return ended;
  };
}

function compileIf(branches: readonly Branch[], otherwise: Execute, scope: Scope): Execute {
  return branches.reduceRight<Execute>((rest, { test, body }) => {
    const holds = compileExpression(test, scope);
    const then = compileBody(body, scope.branch());
    return (frame) => (truthy(holds(frame)) ? then(frame) : rest(frame));
  }, otherwise);
}

function compileSet(assign: Assign, value: Evaluate): Execute {
  return (frame) => {
    assign(frame, value(frame));
    return ended;
  };
}

/** Compiles an assignment to names of this very scope, or to a namespace's member. */
export function compileTarget(target: Target, scope: Scope): Assign {
  if (target.type === 'name') {
    const slot = scope.own(target.name);
    return (frame, value) => {
      frame.slots[slot] = value;
    };
  }
  if (target.type === 'member') {
    const of = compileName(target.name, scope);
    return (frame, value) => {
      const namespace = of(frame);
      if (!(namespace instanceof Namespace)) throw new TemplateError('cannot assign attribute on non-namespace object', target.line);
      namespace.set(target.attribute, value);
    };
  }
  const parts = target.items.map((item) => compileTarget(item, scope));
  return (frame, value) => {
    const items = iterate(value);
    if (items.length !== parts.length) throw new TemplateError(`expected ${parts.length} values to unpack, got ${items.length}`, target.line);
    parts.forEach((assign, index) => assign(frame, items[index]));
  };
}

/** Compiles a block whose output becomes a value. */
function compileCapture(statements: readonly Statement[], filters: readonly NamedCall[], scope: Scope): Evaluate {
  const inner = scope.inner();
  const resets = inner.declareAssigned(statements);
  const body = compileBody(statements, inner);
  const text: Evaluate = (frame) =>
    capture(frame, () => {
      reset(frame, resets);
      body(frame);
    });
  return filters.reduce((value, call) => compileFilter(value, call, scope), text);
}

/** What a part writes, instead of writing it. */
export function capture(frame: Frame, part: () => void): string {
  const { run } = frame;
  const before = run.out;
  run.out = '';
  try {
    part();
    return run.out;
  } finally {
    run.out = before;
  }
}

/** Empties the variables of a block, so that a second entry does not see those of the first. */
export function reset(frame: Frame, slots: readonly number[]): void {
  for (const slot of slots) frame.slots[slot] = unset;
}

function compileWith(statement: Extract<Statement, { type: 'with' }>, scope: Scope): Execute {
  const inner = scope.inner();
  const values = statement.bindings.map(([, value]) => compileExpression(value, scope));
  const targets = statement.bindings.map(([target]) => compileTarget(target, inner));
  const resets = inner.declareAssigned(statement.body);
  const body = compileBody(statement.body, inner);
  return (frame) => {
    const made = values.map((value) => value(frame));
    reset(frame, resets);
    targets.forEach((assign, index) => assign(frame, made[index]));
    return body(frame);
  };
}
