import { chars, JsonFault, type JsonReader } from '@dynamo/runtime/internal';
import { type StructShape, type Type, wrongType } from './type.ts';
import { elementsText, missingMember, unknownMember } from './struct.ts';

const isOpening = (char: number): boolean => char === chars.brace || char === chars.bracket;

/**
 * Reads one value of a type straight from the text, so that a mismatch is reported where it stands. That is how 1.6.1
 * reads the few members that are its own; it reads OpenAI's members whole and reports theirs at the body's end.
 *
 * @throws JsonFault at the first character that can't be right.
 */
export function readTyped(reader: JsonReader, type: Type): void {
  const inner = type.inner;
  const next = reader.peek();
  switch (inner?.kind) {
    case 'any':
      return void reader.value();
    case 'option':
      return next === chars.n ? void reader.scalar() : readTyped(reader, inner.of);
    case 'list':
      return next === chars.bracket ? readList(reader, inner.of) : readWrong(reader, type);
    case 'map':
      return next === chars.brace ? readMap(reader, inner.of) : readWrong(reader, type);
    case 'struct':
      return isOpening(next) ? readStruct(reader, inner.struct, next) : readWrong(reader, type);
    default:
      return readWrong(reader, type);
  }
}

/** A value without an inside, or one whose first character already shows the wrong kind. */
function readWrong(reader: JsonReader, type: Type): void {
  const next = reader.peek();
  const value = next === chars.bracket ? [] : next === chars.brace ? {} : reader.scalar();
  const mismatch = type.mismatch(value, 'exact');
  if (mismatch !== undefined) throw reader.fault(mismatch);
}

function readList(reader: JsonReader, of: Type): void {
  reader.enter();
  for (let more = reader.nextItem(true); more; more = reader.nextItem(false)) readTyped(reader, of);
  reader.leave();
}

function readMap(reader: JsonReader, of: Type): void {
  reader.enter();
  for (let name = reader.nextName(true); name !== undefined; name = reader.nextName(false)) {
    reader.afterName();
    readTyped(reader, of);
  }
  reader.leave();
}

function readStruct(reader: JsonReader, shape: StructShape, opening: number): void {
  reader.enter();
  const mismatch = opening === chars.brace ? readMembers(reader, shape) : readElements(reader, shape);
  if (mismatch !== undefined) throw new JsonFault(mismatch, reader.faultIndex());
  reader.leave();
}

function readMembers(reader: JsonReader, shape: StructShape): string | undefined {
  const seen = new Set<string>();
  for (let written = reader.nextName(true); written !== undefined; written = reader.nextName(false)) {
    const name = shape.aliases.get(written) ?? written;
    const field = shape.fields.get(name);
    const unknown = field === undefined ? unknownMember(shape, written) : undefined;
    if (unknown !== undefined) return unknown;
    if (field !== undefined && seen.has(name)) return `duplicate field \`${name}\``;
    seen.add(name);
    reader.afterName();
    if (field === undefined) reader.value();
    else readTyped(reader, field.type);
  }
  return missingMember(shape, (name) => seen.has(name));
}

function readElements(reader: JsonReader, shape: StructShape): string | undefined {
  let index = 0;
  let more = true;
  for (const field of shape.fields.values()) {
    more &&= reader.nextItem(index === 0);
    if (more) readTyped(reader, field.type);
    else if (field.presence !== 'default') return `invalid length ${index}, expected ${elementsText(shape)}`;
    index++;
  }
  return undefined;
}

/** The mismatch of a body that is no object. */
export function notAnObject(reader: JsonReader, name: string): JsonFault {
  const value = reader.peek() === chars.bracket ? [] : reader.scalar();
  return reader.fault(wrongType(value, `struct ${name}`));
}
