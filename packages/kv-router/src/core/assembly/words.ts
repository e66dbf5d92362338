/** Arrays of u64 words. */

/** Copies `n` words; short runs are cheaper by hand than by a call out of the module. */
export function copyWords(to: usize, from: usize, n: u32): void {
  if (n > 24) {
    memory.copy(to, from, (<usize>n) << 3);
    return;
  }
  for (let i: u32 = 0; i < n; i++) store<u64>(to + (i << 3), load<u64>(from + (i << 3)));
}

/** How many leading words of two arrays of `n` are equal. */
export function matching(a: usize, b: usize, n: u32): u32 {
  let i: u32 = 0;
  while (i + 2 <= n && !v128.any_true(v128.xor(v128.load(a + (i << 3)), v128.load(b + (i << 3))))) i += 2;
  if (i < n && load<u64>(a + (i << 3)) == load<u64>(b + (i << 3))) i++;
  return i;
}
