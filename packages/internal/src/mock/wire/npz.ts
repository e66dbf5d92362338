import { DynamoError } from '@dynamo/runtime';
import { inflateRawSync } from 'node:zlib';

/** One array of a file: numbers in row order, and its size along each axis. */
export interface NumberArray {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

const wrong = (what: string): never => {
  throw new DynamoError('invalid_argument', `not a readable NPZ file: ${what}`);
};

/**
 * Reads the arrays of an NPZ file: a zip of NPY files, stored or deflated, of little-endian floats and integers.
 *
 * @throws DynamoError `invalid_argument` for anything else, and for arrays that are cut off.
 */
export function readNpz(file: Uint8Array): Map<string, NumberArray> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const arrays = new Map<string, NumberArray>();
  for (const entry of directory(view)) {
    if (!entry.name.endsWith('.npy')) continue;
    arrays.set(entry.name.slice(0, -4), readNpy(contents(file, view, entry)));
  }
  return arrays;
}

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly packed: number;
  readonly at: number;
}

/** The entries of a zip file, from the table at its end. */
function directory(view: DataView): Entry[] {
  let end = view.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x0605_4b50) end--;
  if (end < 0) wrong('it has no table of contents');
  const count = view.getUint16(end + 10, true);
  const entries: Entry[] = [];
  let at = view.getUint32(end + 16, true);
  for (let index = 0; index < count; index++) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== 0x0201_4b50) wrong('its table of contents is damaged');
    const nameLength = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + at + 46, nameLength));
    entries.push({ name, method: view.getUint16(at + 10, true), packed: view.getUint32(at + 20, true), at: view.getUint32(at + 42, true) });
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

function contents(file: Uint8Array, view: DataView, { name, method, packed, at }: Entry): Uint8Array {
  if (at + 30 > view.byteLength || view.getUint32(at, true) !== 0x0403_4b50) return wrong(`${name} is damaged`);
  const start = at + 30 + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
  if (start + packed > file.length) return wrong(`${name} is cut off`);
  const bytes = file.subarray(start, start + packed);
  if (method === 0) return bytes;
  if (method !== 8) return wrong(`${name} is packed in a way that is not known`);
  try {
    return inflateRawSync(bytes);
  } catch (error) {
    return wrong(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** NumPy's type names, and how a value of each is read. */
const types: Readonly<Record<string, { readonly bytes: number; readonly read: (view: DataView, at: number) => number }>> = {
  '<f8': { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  '<f4': { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  '<i8': { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  '<u8': { bytes: 8, read: (view, at) => Number(view.getBigUint64(at, true)) },
  '<i4': { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  '<u4': { bytes: 4, read: (view, at) => view.getUint32(at, true) },
};

function readNpy(bytes: Uint8Array): NumberArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || view.getUint32(0) !== 0x934e_554d || view.getUint16(4) !== 0x5059) wrong('an array has no NPY header');
  const long = view.getUint8(6) > 1;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder('latin1').decode(bytes.subarray(start, end));
  const type = types[/'descr':\s*'([^']+)'/.exec(header)?.[1] ?? ''] ?? wrong(`numbers of the type ${header.slice(0, 40)}`);
  if (/'fortran_order':\s*True/.test(header)) wrong('columns before rows');
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '').split(',').flatMap((part) => (part.trim() === '' ? [] : [Number(part)]));
  const count = shape.reduce((product, size) => product * size, 1);
  if (end + count * type.bytes > bytes.length) wrong('an array is cut off');
  return { shape, values: Float64Array.from({ length: count }, (_, index) => type.read(view, end + index * type.bytes)) };
}
