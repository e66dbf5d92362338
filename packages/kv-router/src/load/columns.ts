/** A column that holds at least `length` numbers; the old one when it does already. */
export function grownFloats(column: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  if (column.length >= length) return column;
  const grown = new Float64Array(roomFor(length));
  grown.set(column);
  return grown;
}

/** A column that holds at least `length` counts; the old one when it does already. */
export function grownCounts(column: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  if (column.length >= length) return column;
  const grown = new Uint32Array(roomFor(length));
  grown.set(column);
  return grown;
}

const roomFor = (length: number): number => Math.max(16, 2 ** Math.ceil(Math.log2(length)));
