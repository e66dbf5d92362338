let words: u32 = 1;

/** How many u64 words hold a bit for every rank that has been seen. */
export function rankWords(): u32 {
  return words;
}

export function setRankWords(count: u32): void {
  words = count;
}
