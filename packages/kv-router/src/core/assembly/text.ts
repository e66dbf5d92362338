/**
 * Short fixed texts to compare input with: {0 sixteen bytes, 16 a mask of as many bytes as it has, 32 length}.
 *
 * Input always has 32 bytes behind its end that may be read.
 */
const AREA: usize = memory.data(48 * 40, 16);
let used: usize = 0;

/** Keeps an ASCII text of at most 16 characters. */
export function text(characters: string): usize {
  const at = AREA + used;
  used += 48;
  const length = characters.length;
  for (let i = 0; i < length; i++) {
    store<u8>(at + i, <u8>characters.charCodeAt(i));
    store<u8>(at + i, 0xff, 16);
  }
  store<u32>(at, length, 32);
  return at;
}

/** Whether input begins with a text. */
export function begins(input: usize, known: usize): bool {
  return !v128.any_true(v128.and(v128.xor(v128.load(input), v128.load(known)), v128.load(known, 16)));
}

/** Whether `length` bytes of input are a text. */
export function equals(input: usize, length: u32, known: usize): bool {
  return length == load<u32>(known, 32) && begins(input, known);
}
