import { float } from '@dynamo/runtime/internal';
import { isMap } from './spelling.ts';

/** A request as workers of text-input models get it: what is null or absent is left out (spec llm 2.6). */
export function wireRequest(request: object): Record<string, unknown> {
  const wire: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(request)) {
    if (value === null || value === undefined) continue;
    wire[name] = name === 'nvext' && isMap(value) ? wireRequest(value) : value;
  }
  return wire;
}

/** Makes float32 of the named members, so that whole ones stay floats on the wire too. */
export function withSingles(wire: Record<string, unknown>, names: ReadonlySet<string>): Record<string, unknown> {
  for (const name of names) if (typeof wire[name] === 'number') wire[name] = float(Math.fround(wire[name]));
  return wire;
}
