import { compileBody } from './compile-statement.ts';
import { makeGlobals } from './globals.ts';
import { parse } from './parse.ts';
import { Frame, Scope, Unit } from './scope.ts';

/** Renders a compiled template. */
export type Render = (variables: Readonly<Record<string, unknown>>) => string;

/**
 * Compiles a template once; the result renders it as Jinja2 does with the settings of transformers: `trim_blocks`,
 * `lstrip_blocks`, loop controls, the immutable sandbox (spec llm 4).
 *
 * @throws TemplateError on a template that Jinja2 would refuse, or that uses what a chat template can't have.
 */
export function compile(template: string, options: { now?: () => Date } = {}): Render {
  const statements = parse(template);
  const unit = new Unit();
  const scope = new Scope(unit, undefined);
  scope.declareAssigned(statements);
  const body = compileBody(statements, scope);
  const globals = makeGlobals(options.now ?? ((): Date => new Date()));
  const context = [...unit.context].map(([name, slot]) => ({ name, slot, usual: globals.get(name) }));
  const empty = unit.slots();
  return (variables) => {
    const slots = empty.slice();
    for (const { name, slot, usual } of context)
      slots[slot] = (Object.hasOwn(variables, name) ? variables[name] : undefined) ?? fallback(variables, name, usual);
    const frame = new Frame(slots, { out: '', rounds: 0, depth: 0 });
    body(frame);
    return frame.run.out;
  };
}

/** None stays None; a name that the caller doesn't give may be a global. */
const fallback = (variables: Readonly<Record<string, unknown>>, name: string, usual: unknown): unknown =>
  Object.hasOwn(variables, name) && variables[name] === null ? null : usual;
