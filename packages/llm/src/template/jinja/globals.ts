import { callable } from './arguments.ts';
import { print } from './print.ts';
import { strftime } from './strftime.ts';
import { maxRange, TemplateError } from './template-error.ts';
import { type Callable, dictEntries, isDict, iterate, mapKey, Opaque, wholeNumber } from './values.ts';

/** Jinja2's `namespace`: what a loop's body may assign to. */
export class Namespace extends Opaque {
  readonly typeName = 'Namespace';
  readonly #members: Map<string, unknown>;

  constructor(members: Map<string, unknown>) {
    super();
    this.#members = members;
  }

  override attribute(name: string): unknown {
    return this.#members.get(name);
  }

  /** Assigns a member. */
  set(name: string, value: unknown): void {
    this.#members.set(name, value);
  }
}

class Cycler extends Opaque {
  readonly typeName = 'Cycler';
  readonly #items: readonly unknown[];
  #at = 0;

  constructor(items: readonly unknown[]) {
    super();
    this.#items = items;
  }

  override attribute(name: string): unknown {
    if (name === 'current') return this.#items[this.#at];
    if (name === 'next') return callable('next', [], () => this.#next());
    return name === 'reset' ? callable('reset', [], () => this.#reset()) : undefined;
  }

  #next(): unknown {
    const item = this.#items[this.#at];
    this.#at = (this.#at + 1) % this.#items.length;
    return item;
  }

  #reset(): null {
    this.#at = 0;
    return null;
  }
}

function cycler(args: readonly unknown[]): Cycler {
  if (args.length === 0) throw new TemplateError('at least one item has to be provided');
  return new Cycler(args);
}

function joiner(separator: unknown = ', '): Callable {
  let used = false;
  return callable('joiner', [], () => {
    const text = used ? separator : '';
    used = true;
    return text;
  });
}

function range(first: unknown, second?: unknown, third?: unknown): number[] {
  const start = second === undefined ? 0 : wholeNumber(first, 'range() argument');
  const stop = wholeNumber(second === undefined ? first : second, 'range() argument');
  const step = third === undefined ? 1 : wholeNumber(third, 'range() argument');
  if (step === 0) throw new TemplateError('range() arg 3 must not be zero');
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (length > maxRange) throw new TemplateError(`Range too big. The sandbox blocks ranges larger than ${maxRange}.`);
  return Array.from({ length }, (_, index) => start + index * step);
}

/** The pairs of what `dict` and `namespace` take. */
function membersOf(args: readonly unknown[], named: Parameters<Callable>[1]): Map<unknown, unknown> {
  const members = new Map<unknown, unknown>();
  for (const source of args) {
    for (const pair of isDict(source) ? dictEntries(source) : iterate(source)) {
      const [key, value] = iterate(pair);
      members.set(mapKey(key), value);
    }
  }
  for (const [key, value] of named ?? []) members.set(key, value);
  return members;
}

const namespace: Callable = (args, named) => new Namespace(new Map([...membersOf(args, named)].map(([key, value]) => [String(key), value])));

function raise(message: unknown): never {
  throw new TemplateError(print(message));
}

/** What every template can call: Jinja2's globals and the two of transformers. */
export function makeGlobals(now: () => Date): ReadonlyMap<string, Callable> {
  return new Map<string, Callable>([
    ['cycler', (args) => cycler(args)],
    ['dict', (args, named) => membersOf(args, named)],
    ['joiner', callable('joiner', ['sep?'], joiner)],
    ['namespace', namespace],
    ['raise_exception', callable('raise_exception', ['message'], raise)],
    ['range', callable('range', ['start', 'stop?', 'step?'], range)],
    ['strftime_now', callable('strftime_now', ['format'], (format) => strftime(print(format), now()))],
  ]);
}
