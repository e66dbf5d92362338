/** Elements of a block and its bytes, by the number of a tensor's type; those that real files have. */
const blocks: Readonly<Record<number, readonly [elements: number, bytes: number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  9: [32, 36],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  15: [256, 292],
  20: [32, 18],
  23: [256, 136],
  24: [1, 1],
  25: [1, 2],
  26: [1, 4],
  27: [1, 8],
  28: [1, 8],
  30: [1, 2],
};

/** Bytes of a tensor; 0, the least that is sure, for a type that is not known here. */
export function tensorBytes(type: number, dimensions: readonly number[]): number {
  const block = blocks[type];
  if (block === undefined) return 0;
  return Math.ceil(dimensions.reduce((product, length) => product * length, 1) / block[0]) * block[1];
}
