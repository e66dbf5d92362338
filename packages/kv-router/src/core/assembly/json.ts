/** Reading JSON one value after the other. */
import { end, fail, here, keepText, moveTo } from './cursor';

const QUOTE: u32 = 0x22;
const EIGHT_ZEROS: u64 = 0x3030303030303030;
const HIGH: u64 = 0xf0f0f0f0f0f0f0f0;

/** The next character that is no white space; 0 at the end. */
export function peek(): u32 {
  let at = here();
  while (true) {
    const c = <u32>load<u8>(at);
    if (c > 0x20) {
      moveTo(at);
      return at < end() ? c : 0;
    }
    if (at >= end() || (c != 0x20 && c != 0x0a && c != 0x0d && c != 0x09)) {
      moveTo(at);
      return 0;
    }
    at++;
  }
}

/** Takes one character, which must be `wanted`. */
export function take(wanted: u32): bool {
  if (peek() != wanted) {
    fail();
    return false;
  }
  moveTo(here() + 1);
  return true;
}

/** Goes to the next member or item: 0 when there is one, -1 at `close` or when the text is wrong. `first` is 1 before the first. */
export function next(first: i32, close: u32): i32 {
  const c = peek();
  if (c == close) {
    moveTo(here() + 1);
    return -1;
  }
  return first || take(0x2c) ? 0 : -1;
}

function isDigit(c: u32): bool {
  return c - 0x30 < 10;
}

/** Whether eight bytes are all digits. */
export function isEightDigits(word: u64): bool {
  return (word & HIGH) == EIGHT_ZEROS && ((word + 0x0606060606060606) & HIGH) == EIGHT_ZEROS;
}

/** The number that eight digits are. */
export function eightDigits(digits: u64): u64 {
  let v = digits - EIGHT_ZEROS;
  v = v * 10 + (v >> 8);
  return ((v & 0x000000ff000000ff) * 0x000f424000000064 + ((v >> 16) & 0x000000ff000000ff) * 0x0000271000000001) >> 32;
}

/** An unsigned integer below 2^64, right at the cursor. */
function digits(): u64 {
  const start = here();
  let at = start;
  let value: u64 = 0;
  for (let group = 0; group < 2; group++) {
    const word = load<u64>(at);
    if (!isEightDigits(word)) break;
    value = value * 100000000 + eightDigits(word);
    at += 8;
  }
  let c = <u32>load<u8>(at);
  while (isDigit(c)) {
    const digit = <u64>(c - 0x30);
    if (value > 1844674407370955161 || (value == 1844674407370955161 && digit > 5)) {
      fail();
      return 0;
    }
    value = value * 10 + digit;
    c = load<u8>(++at);
  }
  moveTo(at);
  const leading = load<u8>(start) == 0x30 && at - start > 1;
  if (at == start || at > end() || leading || c == 0x2e || (c | 0x20) == 0x65) fail();
  return value;
}

export function unsigned(): u64 {
  peek();
  return digits();
}

function isNull(at: usize): bool {
  return load<u32>(at) == 0x6c6c756e && at + 4 <= end();
}

export function nil(): bool {
  peek();
  if (!isNull(here())) return false;
  moveTo(here() + 4);
  return true;
}

/** How long a text is that ends within sixteen bytes and has nothing special in it; else 16. */
function shortText(at: usize): u32 {
  const bytes = v128.load(at);
  const quotes = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(0x22)));
  const special = i8x16.bitmask(v128.or(i8x16.eq(bytes, i8x16.splat(0x5c)), i8x16.lt_u(bytes, i8x16.splat(0x20))));
  if (quotes == 0 || (special & (quotes ^ (quotes - 1))) != 0) return 16;
  return <u32>ctz<i32>(quotes);
}

/** Reads a text as it stands between its quotes: one with escapes is like no text that is looked for. */
export function readText(): bool {
  if (!take(QUOTE)) return false;
  const start = here();
  const length = shortText(start);
  if (length < 16 && start + length < end()) {
    keepText(start, length);
    moveTo(start + length + 1);
    return true;
  }
  let at = start;
  while (true) {
    const c = <u32>load<u8>(at);
    if (at >= end() || c < 0x20) {
      fail();
      return false;
    }
    if (c == QUOTE) break;
    at += c == 0x5c ? 2 : 1;
  }
  keepText(start, <u32>(at - start));
  moveTo(at + 1);
  return true;
}

/** A member's name and the colon behind it. */
export function key(): bool {
  return readText() && take(0x3a);
}

/** Passes over one value, whatever it is. */
export function pass(): void {
  let depth = 0;
  do {
    const c = peek();
    if (c == QUOTE) {
      if (!readText()) return;
    } else if (c == 0x7b || c == 0x5b) {
      depth++;
      moveTo(here() + 1);
    } else if (c == 0x7d || c == 0x5d) {
      depth--;
      moveTo(here() + 1);
    } else if (c == 0x2c || c == 0x3a) {
      if (depth == 0) {
        fail();
        return;
      }
      moveTo(here() + 1);
    } else if (!word()) return;
    if (depth < 0) fail();
  } while (depth > 0);
}

/** A number or one of the three names. */
function word(): bool {
  const start = here();
  let at = start;
  while (at < end()) {
    const c = <u32>load<u8>(at);
    if (!isDigit(c) && !((c | 0x20) - 0x61 < 26) && c != 0x2d && c != 0x2b && c != 0x2e) break;
    at++;
  }
  moveTo(at);
  if (at == start) fail();
  return at != start;
}
