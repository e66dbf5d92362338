import { TemplateError } from './template-error.ts';
import type { Callable, Named } from './values.ts';

/** A function of ours with its parameters' names, so that arguments can be named. */
export interface Signature {
  readonly parameters: readonly string[];
  /** How many of them must be given. */
  readonly required: number;
}

/** Puts named arguments in their places. */
export function arrange(name: string, signature: Signature, args: readonly unknown[], named: Named | undefined): readonly unknown[] {
  const { parameters, required } = signature;
  if (args.length > parameters.length) throw new TemplateError(`${name}() takes ${parameters.length} arguments, ${args.length} were given`);
  if (named === undefined || named.size === 0) {
    if (args.length < required) throw new TemplateError(`${name}() misses the argument '${parameters[args.length] ?? ''}'`);
    return args;
  }
  const placed = [...args];
  for (const [key, value] of named) {
    const index = parameters.indexOf(key);
    if (index < 0) throw new TemplateError(`${name}() has no parameter '${key}'`);
    if (index < args.length) throw new TemplateError(`${name}() got '${key}' twice`);
    while (placed.length < index) placed.push(undefined);
    placed[index] = value;
  }
  return placed;
}

/** Makes a function that takes its arguments by place or by name; `a?` may be left out. */
export function callable(name: string, parameters: readonly string[], run: (...args: readonly unknown[]) => unknown): Callable {
  const signature = sign(parameters);
  const made: Callable = (args, named) => run(...arrange(name, signature, args, named));
  Object.defineProperty(made, 'name', { value: name });
  return made;
}

/** Reads a list such as `['old', 'new', 'count?']`. */
export function sign(parameters: readonly string[]): Signature {
  const optional = parameters.findIndex((parameter) => parameter.endsWith('?'));
  return {
    parameters: parameters.map((parameter) => parameter.replace('?', '')),
    required: optional < 0 ? parameters.length : optional,
  };
}
