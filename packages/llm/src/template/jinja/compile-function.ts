import type { Parameter, Statement } from './ast.ts';
import { compileArguments } from './compile-call.ts';
import { compileExpression, type Evaluate } from './compile-expression.ts';
import { capture, compileBody, type Execute } from './compile-statement.ts';
import { Frame, mentions, Scope, Unit } from './scope.ts';
import { maxDepth, TemplateError } from './template-error.ts';
import { type Callable, type Named, tuple, typeName } from './values.ts';

/** A macro without the frame that it is defined in. */
interface Definition {
  readonly name: string;
  readonly unit: Unit;
  readonly parameters: readonly { readonly name: string; readonly slot: number; readonly fallback: Evaluate | undefined }[];
  readonly body: Execute;
  /** Slots of `varargs`, `kwargs` and `caller`, where the body reads them. */
  readonly extra: { readonly varargs: number | undefined; readonly kwargs: number | undefined; readonly caller: number | undefined };
}

/** Compiles a macro to what makes its function in a frame. */
export function compileMacro(statement: Extract<Statement, { type: 'macro' }>, scope: Scope): Evaluate {
  const definition = define(statement.name, statement, scope);
  return (frame) => bindMacro(definition, frame);
}

function define(name: string, source: { parameters: readonly Parameter[]; body: readonly Statement[] }, outer: Scope): Definition {
  const unit = new Unit(outer);
  const scope = new Scope(unit, undefined);
  const slots = source.parameters.map((parameter) => scope.declare(parameter.name, true));
  const extraSlot = (extra: string): number | undefined =>
    source.parameters.some((parameter) => parameter.name === extra) || !mentions(source.body, extra) ? undefined : scope.declare(extra, true);
  const extra = { varargs: extraSlot('varargs'), kwargs: extraSlot('kwargs'), caller: extraSlot('caller') };
  scope.declareAssigned(source.body);
  const parameters = source.parameters.map((parameter, index) => ({
    name: parameter.name,
    slot: slots[index] ?? 0,
    fallback: parameter.fallback === undefined ? undefined : compileExpression(parameter.fallback, scope),
  }));
  return { name, unit, parameters, body: compileBody(source.body, scope), extra };
}

function bindMacro(definition: Definition, outer: Frame): Callable {
  const made: Callable = (args, named) => {
    const { run } = outer;
    if (++run.depth > maxDepth) throw new TemplateError(`macros call each other deeper than ${maxDepth} levels`);
    const frame = new Frame(definition.unit.slots(), run, outer);
    fill(definition, frame, args, named);
    const text = capture(frame, () => void definition.body(frame));
    run.depth--;
    return text;
  };
  Object.defineProperty(made, 'name', { value: definition.name });
  return made;
}

function fill({ name, parameters, extra }: Definition, frame: Frame, args: readonly unknown[], named: Named | undefined): void {
  if (args.length > parameters.length && extra.varargs === undefined) {
    throw new TemplateError(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
  }
  const rest = new Map(named ?? []);
  // A default may read the parameters around it, so none is left unset.
  for (const parameter of parameters) frame.slots[parameter.slot] = undefined;
  parameters.forEach((parameter, index) => {
    const given = index < args.length || rest.has(parameter.name);
    frame.slots[parameter.slot] = given ? (index < args.length ? args[index] : rest.get(parameter.name)) : parameter.fallback?.(frame);
    if (index >= args.length) rest.delete(parameter.name);
  });
  if (extra.caller !== undefined) frame.slots[extra.caller] = rest.get('caller');
  rest.delete('caller');
  if (extra.varargs !== undefined) frame.slots[extra.varargs] = tuple(...args.slice(parameters.length));
  if (extra.kwargs !== undefined) frame.slots[extra.kwargs] = rest;
  else if (rest.size > 0) throw new TemplateError(`macro '${name}' takes no keyword argument '${String([...rest.keys()][0])}'`);
}

/** Compiles a call block: a call with a function `caller` that renders the block. */
export function compileCallBlock(statement: Extract<Statement, { type: 'call' }>, scope: Scope): Evaluate {
  const { call } = statement;
  if (call.type !== 'call') throw new TemplateError("'call' expects a call");
  const callee = compileExpression(call.target, scope);
  const { positional, named } = compileArguments(call.args, scope);
  const caller = define('caller', statement, scope);
  return (frame) => {
    const macro = callee(frame);
    if (typeof macro !== 'function') throw new TemplateError(`'${typeName(macro)}' object is not callable`, call.line);
    const all = new Map<string, unknown>(named?.(frame) ?? []);
    all.set('caller', bindMacro(caller, frame));
    return (macro as Callable)(positional(frame), all);
  };
}
