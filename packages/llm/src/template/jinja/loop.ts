import { callable } from './arguments.ts';
import { TemplateError } from './template-error.ts';
import { type Callable, equals, Opaque } from './values.ts';

/** Jinja2's `loop`. */
export class Loop extends Opaque {
  readonly typeName = 'LoopContext';
  readonly items: readonly unknown[];
  readonly depth0: number;
  /** Runs a recursive loop over the children. */
  readonly recurse: Callable | undefined;
  index0 = 0;
  #seen: readonly unknown[] | undefined;

  constructor(items: readonly unknown[], options: { depth0: number; recurse: Callable | undefined }) {
    super();
    this.items = items;
    this.depth0 = options.depth0;
    this.recurse = options.recurse;
  }

  override attribute(name: string): unknown {
    switch (name) {
      case 'index0':
        return this.index0;
      case 'index':
        return this.index0 + 1;
      case 'first':
        return this.index0 === 0;
      case 'last':
        return this.index0 === this.items.length - 1;
      case 'length':
        return this.items.length;
      case 'revindex':
        return this.items.length - this.index0;
      case 'revindex0':
        return this.items.length - this.index0 - 1;
      case 'previtem':
        return this.items[this.index0 - 1];
      case 'nextitem':
        return this.items[this.index0 + 1];
      case 'depth0':
        return this.depth0;
      case 'depth':
        return this.depth0 + 1;
      case 'cycle':
        return this.#cycle;
      case 'changed':
        return this.#changed;
      default:
        return undefined;
    }
  }

  readonly #cycle: Callable = (args) => {
    if (args.length === 0) throw new TemplateError('no items for cycling given');
    return args[this.index0 % args.length];
  };

  readonly #changed: Callable = (args) => {
    if (this.#seen !== undefined && equals(this.#seen, args)) return false;
    this.#seen = args;
    return true;
  };
}

/** `loop(children)` of a loop marked `recursive`. */
export const recurseWith = (loop: Loop): Callable =>
  loop.recurse ??
  callable('loop', ['iterable'], () => {
    throw new TemplateError("the loop must have the 'recursive' marker to be called");
  });
