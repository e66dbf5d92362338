import { arrange, sign } from '../arguments.ts';
import type { Method } from '../methods.ts';

/** A filter, called with the value before the bar and what stands between the parentheses. */
export type Filter = Method;

/** Defines a filter by its parameters' names; `a?` may be left out. */
export function filter(name: string, parameters: readonly string[], run: (value: unknown, ...args: readonly unknown[]) => unknown): [string, Filter] {
  const signature = sign(parameters);
  return [name, (value, args, named) => run(value, ...arrange(name, signature, args, named))];
}
