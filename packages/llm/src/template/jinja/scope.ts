import type { Statement, Target } from './ast.ts';

/** Stands in a slot that nothing was assigned to yet. */
export const unset: symbol = Symbol('unset');

/** One rendering. */
export interface Run {
  /** What was written since the start, or since the innermost capture began. */
  out: string;
  rounds: number;
  depth: number;
}

/** The variables of the template or of one call of a macro. */
export class Frame {
  readonly slots: unknown[];
  readonly outer: Frame | undefined;
  readonly run: Run;

  constructor(slots: unknown[], run: Run, outer?: Frame) {
    this.slots = slots;
    this.run = run;
    this.outer = outer;
  }
}

/** What gets a frame of its own: the template, a macro, a call block, a recursive loop. */
export class Unit {
  readonly outer: Scope | undefined;
  /** Names that come from the caller or are globals; only the template has them. */
  readonly context: Map<string, number> = new Map();
  #size = 0;

  constructor(outer?: Scope) {
    this.outer = outer;
  }

  allocate(): number {
    return this.#size++;
  }

  slots(): unknown[] {
    return Array.from({ length: this.#size }, () => unset);
  }
}

/** Where a variable may be: so many frames out, in that slot. */
export interface Place {
  readonly hops: number;
  readonly slot: number;
  /** False when the slot may be unset, and the next place counts then. */
  readonly certain: boolean;
}

interface Variable {
  readonly slot: number;
  readonly certain: boolean;
}

/** The names of one block of source. Names become slots while compiling, so that rendering looks up nothing by name. */
export class Scope {
  readonly unit: Unit;
  readonly #outer: Scope | undefined;
  readonly #names: Map<string, Variable>;
  /** True where a branch may never run: what is unknown there fails only when it does. */
  readonly conditional: boolean;

  constructor(unit: Unit, outer: Scope | undefined, shared?: { names: Map<string, Variable>; conditional: boolean }) {
    this.unit = unit;
    this.#outer = outer;
    this.#names = shared?.names ?? new Map();
    this.conditional = shared?.conditional ?? outer?.conditional ?? false;
  }

  /** The same scope inside of a branch. */
  branch(): Scope {
    return this.conditional ? this : new Scope(this.unit, this.#outer, { names: this.#names, conditional: true });
  }

  /** A block's scope in the same frame. */
  inner(): Scope {
    return new Scope(this.unit, this);
  }

  declare(name: string, certain: boolean): number {
    const known = this.#names.get(name);
    if (known !== undefined) return known.slot;
    const slot = this.unit.allocate();
    this.#names.set(name, { slot, certain });
    return slot;
  }

  /** Declares what the statements assign in this very scope; returns the slots to reset on each entry. */
  declareAssigned(statements: readonly Statement[]): number[] {
    return assigned(statements).map((name) => this.declare(name, false));
  }

  /** The slot of a name of this very scope. */
  own(name: string): number {
    return this.declare(name, false);
  }

  /** The places of a name, the nearest first; the last one is certain. */
  resolve(name: string, hops = 0): Place[] {
    const variable = this.#names.get(name);
    if (variable?.certain === true) return [{ hops, ...variable }];
    const own = variable === undefined ? [] : [{ hops, ...variable }];
    if (this.#outer !== undefined) return [...own, ...this.#outer.resolve(name, hops)];
    if (this.unit.outer !== undefined) return [...own, ...this.unit.outer.resolve(name, hops + 1)];
    return [...own, { hops, slot: contextSlot(this.unit, name), certain: true }];
  }
}

function contextSlot(unit: Unit, name: string): number {
  const known = unit.context.get(name);
  if (known !== undefined) return known;
  const slot = unit.allocate();
  unit.context.set(name, slot);
  return slot;
}

function assigned(statements: readonly Statement[]): string[] {
  return statements.flatMap((statement) => {
    switch (statement.type) {
      case 'set':
      case 'capture':
        return targetNames(statement.target);
      case 'macro':
        return [statement.name];
      case 'if':
        return [...statement.branches.flatMap(({ body }) => assigned(body)), ...assigned(statement.otherwise)];
      default:
        return [];
    }
  });
}

/** The variables that a target assigns. */
export function targetNames(target: Target): string[] {
  if (target.type === 'name') return [target.name];
  return target.type === 'tuple' ? target.items.flatMap(targetNames) : [];
}

/** True when a part of a template reads the name anywhere. */
export function mentions(part: unknown, name: string): boolean {
  if (typeof part !== 'object' || part === null) return false;
  if (Array.isArray(part)) return part.some((item) => mentions(item, name));
  const node = part as { type?: unknown; name?: unknown };
  return (node.type === 'name' && node.name === name) || Object.values(part).some((member) => mentions(member, name));
}
