/** Reading MessagePack one value after the other. */
import { end, fail, here, keepText, moveTo } from './cursor';

function byteAt(at: usize): u32 {
  return load<u8>(at);
}

function word16(at: usize): u32 {
  return bswap<u16>(load<u16>(at));
}

function word32(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}

/** Goes on to `at`, which must not lie behind the end. */
function advance(at: usize): bool {
  if (at > end()) {
    fail();
    return false;
  }
  moveTo(at);
  return true;
}

/** Enters a map or an array: how many entries it has, or -1. */
export function enter(fix: u32, fixMask: u32, wide: u32): i32 {
  const at = here();
  const type = byteAt(at);
  if ((type & ~fixMask) == fix) return advance(at + 1) ? <i32>(type & fixMask) : -1;
  let count: u32;
  if (type == wide) {
    if (!advance(at + 3)) return -1;
    count = word16(at + 1);
  } else if (type == wide + 1) {
    if (!advance(at + 5)) return -1;
    count = word32(at + 1);
  } else return fail();
  // Every entry takes at least one byte: a larger count is a lie.
  return <usize>count > end() - here() ? fail() : <i32>count;
}

export function unsigned(): u64 {
  const at = here();
  const type = byteAt(at);
  if (type < 0x80) return advance(at + 1) ? type : 0;
  if (type == 0xcf) return advance(at + 9) ? bswap<u64>(load<u64>(at + 1)) : 0;
  if (type == 0xce) return advance(at + 5) ? word32(at + 1) : 0;
  if (type == 0xcd) return advance(at + 3) ? word16(at + 1) : 0;
  if (type == 0xcc) return advance(at + 2) ? byteAt(at + 1) : 0;
  return positive(at, type);
}

/** Signed forms: what they hold must still not be negative. */
function positive(at: usize, type: u32): u64 {
  let value: i64 = -1;
  if (type == 0xd3 && advance(at + 9)) value = <i64>bswap<u64>(load<u64>(at + 1));
  else if (type == 0xd2 && advance(at + 5)) value = <i32>word32(at + 1);
  else if (type == 0xd1 && advance(at + 3)) value = <i16>word16(at + 1);
  else if (type == 0xd0 && advance(at + 2)) value = <i8>byteAt(at + 1);
  if (value < 0) fail();
  return <u64>value;
}

export function nil(): bool {
  if (byteAt(here()) != 0xc0) return false;
  return advance(here() + 1);
}

export function isText(): bool {
  const type = byteAt(here());
  return (type & 0xe0) == 0xa0 || (type >= 0xd9 && type <= 0xdb);
}

export function readText(): bool {
  const at = here();
  const type = byteAt(at);
  let start = at + 1;
  let length: u32;
  if ((type & 0xe0) == 0xa0) length = type & 31;
  else if (type == 0xd9) {
    length = byteAt(at + 1);
    start = at + 2;
  } else if (type == 0xda) {
    length = word16(at + 1);
    start = at + 3;
  } else if (type == 0xdb) {
    length = word32(at + 1);
    start = at + 5;
  } else {
    fail();
    return false;
  }
  if (start > end() || length > <u32>(end() - start)) {
    fail();
    return false;
  }
  keepText(start, length);
  return advance(start + length);
}

/** How many bytes the value at `at` takes besides what it contains; 0 for a type that does not exist. */
function sizeAt(at: usize, type: u32): u64 {
  if (type < 0xa0 || type >= 0xe0) return 1;
  if (type < 0xc0) return 1 + (type & 31);
  switch (type) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return 1;
    case 0xc4:
    case 0xd9:
      return 2 + <u64>byteAt(at + 1);
    case 0xc5:
    case 0xda:
      return 3 + <u64>word16(at + 1);
    case 0xc6:
    case 0xdb:
      return 5 + <u64>word32(at + 1);
    case 0xc7:
      return 3 + <u64>byteAt(at + 1);
    case 0xc8:
      return 4 + <u64>word16(at + 1);
    case 0xc9:
      return 6 + <u64>word32(at + 1);
    case 0xca:
    case 0xce:
    case 0xd2:
      return 5;
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return 9;
    case 0xcc:
    case 0xd0:
      return 2;
    case 0xcd:
    case 0xd1:
    case 0xdc:
    case 0xde:
      return 3;
    case 0xdd:
    case 0xdf:
      return 5;
    case 0xd4:
      return 3;
    case 0xd5:
      return 4;
    case 0xd6:
      return 6;
    case 0xd7:
      return 10;
    case 0xd8:
      return 18;
  }
  return 0;
}

/** How many values follow that belong to the one at `at`. */
function contentsAt(at: usize, type: u32): u64 {
  if (type >= 0x80 && type < 0x90) return (type & 15) << 1;
  if (type >= 0x90 && type < 0xa0) return type & 15;
  if (type == 0xdc) return word16(at + 1);
  if (type == 0xdd) return word32(at + 1);
  if (type == 0xde) return (<u64>word16(at + 1)) << 1;
  if (type == 0xdf) return (<u64>word32(at + 1)) << 1;
  return 0;
}

/** Passes over one value, whatever it is. */
export function pass(): void {
  for (let left: u64 = 1; left; left--) {
    const at = here();
    const type = byteAt(at);
    const size = at < end() ? sizeAt(at, type) : 0;
    if (size == 0 || size > <u64>(end() - at)) {
      fail();
      return;
    }
    left += contentsAt(at, type);
    moveTo(at + <usize>size);
  }
}
