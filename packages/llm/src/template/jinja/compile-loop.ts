import type { Expression, ForStatement } from './ast.ts';
import { compileExpression, type Evaluate } from './compile-expression.ts';
import { type Assign, broken, capture, compileBody, compileTarget, ended, type Execute, reset } from './compile-statement.ts';
import { Loop } from './loop.ts';
import { Frame, mentions, type Run, Scope, targetNames, Unit } from './scope.ts';
import { maxDepth, maxRounds, TemplateError } from './template-error.ts';
import { type Callable, iterate, truthy } from './values.ts';

/** The parts of a loop in the frame where its body runs. */
interface Parts {
  readonly assign: Assign;
  readonly keep: Evaluate | undefined;
  readonly body: Execute;
  readonly resets: readonly number[];
  /** Where `loop` is, when the body reads it. */
  readonly loopSlot: number | undefined;
}

/** Compiles a loop. */
export function compileFor(statement: ForStatement, scope: Scope): Execute {
  const iterable = compileExpression(statement.iterable, scope);
  const otherwise = compileOtherwise(statement, scope);
  if (statement.recursive) return compileRecursive(statement, { iterable, otherwise }, scope);
  const parts = compileParts(statement, scope.inner());
  return (frame) => {
    const items = selected(iterate(iterable(frame)), frame, parts);
    if (items.length === 0) return otherwise(frame);
    const loop = parts.loopSlot === undefined ? undefined : new Loop(items, { depth0: 0, recurse: undefined });
    runLoop(items, frame, parts, loop);
    return ended;
  };
}

function compileOtherwise(statement: ForStatement, scope: Scope): Execute {
  const inner = scope.inner();
  const resets = inner.declareAssigned(statement.otherwise);
  const body = compileBody(statement.otherwise, inner);
  return (frame) => {
    reset(frame, resets);
    return body(frame);
  };
}

function compileParts(statement: ForStatement, scope: Scope): Parts {
  // The condition sees the loop's variables but not `loop`, which is about the chosen items.
  const names = targetNames(statement.target);
  for (const name of names) scope.declare(name, true);
  const assign = compileTarget(statement.target, scope);
  const keep = compileKeep(statement.condition, scope);
  const loopSlot = !names.includes('loop') && mentions(statement.body, 'loop') ? scope.declare('loop', true) : undefined;
  const resets = scope.declareAssigned(statement.body).filter((slot) => slot !== loopSlot && !names.some((name) => scope.own(name) === slot));
  return { assign, keep, body: compileBody(statement.body, scope), resets, loopSlot };
}

const compileKeep = (condition: Expression | undefined, scope: Scope): Evaluate | undefined =>
  condition === undefined ? undefined : compileExpression(condition, scope);

function selected(items: readonly unknown[], frame: Frame, { assign, keep }: Parts): readonly unknown[] {
  if (keep === undefined) return items;
  return items.filter((item) => {
    countRound(frame.run);
    assign(frame, item);
    return truthy(keep(frame));
  });
}

function runLoop(items: readonly unknown[], frame: Frame, parts: Parts, loop: Loop | undefined): void {
  const { assign, body, resets, loopSlot } = parts;
  if (loopSlot !== undefined) frame.slots[loopSlot] = loop;
  for (let index = 0; index < items.length; index++) {
    countRound(frame.run);
    if (loop !== undefined) loop.index0 = index;
    if (resets.length > 0) reset(frame, resets);
    assign(frame, items[index]);
    if (body(frame) === broken) return;
  }
}

function countRound(run: Run): void {
  if (++run.rounds > maxRounds) throw new TemplateError(`the template loops more than ${maxRounds} times`);
}

/** A recursive loop's body gets a frame for each level, as a macro's does. */
function compileRecursive(statement: ForStatement, outside: { iterable: Evaluate; otherwise: Execute }, scope: Scope): Execute {
  const unit = new Unit(scope);
  const inner = new Scope(unit, undefined);
  const parts = compileParts(statement, inner);
  const level = (frame: Frame, source: unknown, depth0: number): boolean => {
    if (depth0 >= maxDepth) throw new TemplateError(`a loop recurses deeper than ${maxDepth} levels`);
    const own = new Frame(unit.slots(), frame.run, frame);
    const items = selected(iterate(source), own, parts);
    const recurse: Callable = ([children]) => capture(frame, () => void level(frame, children, depth0 + 1));
    runLoop(items, own, parts, new Loop(items, { depth0, recurse }));
    return items.length > 0;
  };
  return (frame) => (level(frame, outside.iterable(frame), 0) ? ended : outside.otherwise(frame));
}
