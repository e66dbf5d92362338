import { chars, JsonFault, JsonReader } from '@dynamo/runtime/internal';
import { malformed } from '../failure.ts';
import { escapeControls } from '../json-facts.ts';
import { elementsText, missingMember, unknownMember } from './struct.ts';
import { type StructShape, type Type, wrongType } from './type.ts';

/** A body that is JSON and does not have the right shape; a plain `JsonFault` is one that is no JSON. */
class ShapeFault extends JsonFault {}

/** A body that could not be read: what is wrong, with the member that it is in, line and column. */
export interface UnreadBody {
  readonly kind: 'syntax' | 'shape';
  readonly message: string;
}

/**
 * Reads a body whose members are all read as they come, forgiving control characters inside strings; members that the type
 * does not have are passed over (how 1.6.1 reads /v1/classify and /v1/pooling).
 *
 * @throws DynamoError `invalid_argument` with 1.6.1's words, line and column.
 */
export function readStruct(text: string, type: Type): Record<string, unknown> {
  const read = attempt(text, type, { whole: true });
  if (!(read instanceof JsonFault)) return read;
  const mended = escapeControls(text);
  const again = mended === text ? read : attempt(mended, type, { whole: true });
  if (again instanceof JsonFault) throw malformed(read.describe(text));
  return again;
}

/**
 * Reads a body as 1.6.1's other kind of route does (/v1/rerank, /busy_threshold): faults name the member that they are in,
 * and what follows the value is not looked at.
 */
export function readMembersOf(text: string, type: Type): { value: Record<string, unknown> } | UnreadBody {
  const path: string[] = [];
  const read = attempt(text, type, { whole: false, path });
  if (!(read instanceof JsonFault)) return { value: read };
  const place = path.join('').replace(/^\./, '');
  return { kind: read instanceof ShapeFault ? 'shape' : 'syntax', message: `${place === '' ? '' : `${place}: `}${read.describe(text)}` };
}

function attempt(text: string, type: Type, { whole, path = [] }: { whole: boolean; path?: string[] }): Record<string, unknown> | JsonFault {
  const reader = new JsonReader(text);
  try {
    const value = new Reading(reader, path).value(type) as Record<string, unknown>;
    if (whole) reader.end();
    return value;
  } catch (fault) {
    if (fault instanceof JsonFault) return fault;
    throw fault;
  }
}

/** Reads values of known types in one pass; `path` is left at the place of a fault. */
class Reading {
  readonly #reader: JsonReader;
  readonly #path: string[];

  constructor(reader: JsonReader, path: string[]) {
    this.#reader = reader;
    this.#path = path;
  }

  value(type: Type): unknown {
    const { inner } = type;
    const next = this.#reader.peek();
    switch (inner?.kind) {
      case 'any':
        return this.#reader.value();
      case 'option':
        return next === chars.n ? this.#reader.scalar() : this.value(inner.of);
      case 'list':
        return next === chars.bracket ? this.#list(inner.of) : this.#wrong(type);
      case 'map':
        return next === chars.brace ? this.#map(inner.of) : this.#wrong(type);
      case 'struct':
        if (next === chars.brace) return this.#members(inner.struct);
        if (next !== chars.bracket) return this.#wrong(type);
        if (inner.struct.complete !== undefined) throw shapeFault(this.#reader.fault(wrongType([], inner.struct.name)));
        return this.#elements(inner.struct);
      case 'word':
        return this.#word(type, next);
      case 'union':
        return this.#buffered(type);
      default:
        return this.#wrong(type);
    }
  }

  /** A value without an inside, or one whose first character already shows the wrong kind. */
  #wrong(type: Type): unknown {
    const next = this.#reader.peek();
    const value = next === chars.bracket ? [] : next === chars.brace ? {} : this.#reader.scalar();
    const mismatch = type.mismatch(value, 'exact');
    if (mismatch !== undefined) throw shapeFault(this.#reader.fault(mismatch));
    return type.usual(value);
  }

  /** One of several types: the value is read first, and the fault is told behind it. */
  #buffered(type: Type): unknown {
    const value = this.#reader.value();
    const mismatch = type.mismatch(value, 'exact');
    if (mismatch !== undefined) throw new ShapeFault(mismatch, this.#reader.faultIndex());
    return type.usual(value);
  }

  /** A word: whatever can't begin one is no JSON to 1.6.1. */
  #word(type: Type, next: number): unknown {
    if (next !== chars.quote && next !== chars.brace)
      throw this.#reader.peekFault(Number.isNaN(next) ? 'EOF while parsing a value' : 'expected value');
    const value = this.#reader.value();
    const mismatch = type.mismatch(value, 'exact');
    if (mismatch !== undefined) throw shapeFault(this.#reader.fault(mismatch));
    return type.usual(value);
  }

  #list(of: Type): unknown[] {
    const list: unknown[] = [];
    this.#reader.enter();
    for (let more = this.#reader.nextItem(true); more; more = this.#reader.nextItem(false)) {
      list.push(this.#at(`[${list.length}]`, () => this.value(of)));
    }
    this.#reader.leave();
    return list;
  }

  #map(of: Type): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    this.#reader.enter();
    for (let name = this.#reader.nextName(true); name !== undefined; name = this.#reader.nextName(false)) {
      this.#reader.afterName();
      put(
        map,
        name,
        this.#at(`.${name}`, () => this.value(of)),
      );
    }
    this.#reader.leave();
    return map;
  }

  #members(shape: StructShape): Record<string, unknown> {
    const reader = this.#reader;
    const made: Record<string, unknown> = {};
    reader.enter();
    for (let written = reader.nextName(true); written !== undefined; written = reader.nextName(false)) {
      const name = shape.aliases.get(written) ?? written;
      const field = shape.fields.get(name);
      const refused = field === undefined ? unknownMember(shape, written) : Object.hasOwn(made, name) ? `duplicate field \`${name}\`` : undefined;
      if (refused !== undefined) throw new ShapeFault(refused, reader.faultIndex());
      reader.afterName();
      this.#at(`.${written}`, () => (field === undefined ? reader.skip() : put(made, name, this.value(field.type))));
    }
    const missing = missingMember(shape, (name) => Object.hasOwn(made, name));
    const wrong = missing ?? shape.complete?.(made);
    if (wrong !== undefined) throw new ShapeFault(wrong, reader.faultIndex());
    reader.leave();
    return made;
  }

  #elements(shape: StructShape): Record<string, unknown> {
    const made: Record<string, unknown> = {};
    let index = 0;
    let more = true;
    this.#reader.enter();
    for (const [name, field] of shape.fields) {
      more &&= this.#reader.nextItem(index === 0);
      if (more)
        put(
          made,
          name,
          this.#at(`[${index}]`, () => this.value(field.type)),
        );
      else if (field.presence !== 'default')
        throw new ShapeFault(`invalid length ${index}, expected ${elementsText(shape)}`, this.#reader.faultIndex());
      index++;
    }
    this.#reader.leave();
    return made;
  }

  #at<T>(step: string, read: () => T): T {
    this.#path.push(step);
    const value = read();
    this.#path.pop();
    return value;
  }
}

const shapeFault = ({ message, index, bytes }: JsonFault): ShapeFault => new ShapeFault(message, index, bytes);

/** An own member, whatever its name. */
function put(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name === '__proto__') Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  else target[name] = value;
}
