import { badValue, checkNumber, longestMs, type NumberRange } from './check.ts';

/** Variables as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

const anyCount: NumberRange = { least: 0, most: 999_999_999_999_999 };

/** Ports that can be listened on; 0 takes a free one. */
export const ports: NumberRange = { least: 0, most: 65_535, whole: true };

/** One of the allowed words, of which the first is the default; an option of the program wins over the variable. */
export function pick<T extends string>(
  env: Environment,
  name: string,
  allowed: readonly T[],
  given?: { readonly option: string; readonly value: T | undefined },
): T {
  const value = given?.value ?? (env[name] || allowed[0]);
  const found = allowed.find((word) => word === value);
  if (found === undefined) throw badValue(given?.value === undefined ? name : given.option, value, `one of ${allowed.join(', ')}`);
  return found;
}

/** A whole number of a variable; what is empty is not said. */
export function whole(env: Environment, name: string, fallback: number, range: NumberRange = anyCount): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  if (!/^[+-]?\d{1,15}$/.test(text)) throw badValue(name, text, `a whole number from ${range.least} to ${range.most}`);
  const value = Number(text);
  checkNumber(name, value, range);
  return value;
}

/** Seconds of a variable as milliseconds; as many as a timer can wait for. */
export const seconds = (env: Environment, name: string, fallback: number, least = 0): number =>
  whole(env, name, fallback, { least, most: Math.floor(longestMs / 1_000) }) * 1_000;

/** Words of a switch; anything else is refused. */
const switchWords: Readonly<Record<string, boolean>> = { true: true, 1: true, yes: true, on: true, false: false, 0: false, no: false, off: false };

/** A switch of a variable; off when it is not said. */
export function isOn(env: Environment, name: string): boolean {
  const text = (env[name] || 'false').toLowerCase();
  const value = Object.hasOwn(switchWords, text) ? switchWords[text] : undefined;
  if (value === undefined) throw badValue(name, env[name], 'true or false');
  return value;
}

/** A path of the status server. The real system falls over one without its slash and over one that is taken. */
export function pathOf(env: Environment, name: string, fallback: string): string {
  const path = env[name] || fallback;
  if (/^\/[\w.~/-]+$/.test(path) && !/^\/(metrics|metadata|engine\/.*|v1\/.*)$/.test(path)) return path;
  throw badValue(name, path, "a path of its own that begins with '/'");
}
