/** Where a decoder stands in its input. */
let position: usize = 0;
let limit: usize = 0;
let failed: bool = false;
let textStart: usize = 0;
let textBytes: u32 = 0;

export function startAt(from: usize, to: usize): void {
  position = from;
  limit = to;
  failed = false;
}

export function here(): usize {
  return position;
}

export function moveTo(at: usize): void {
  position = at;
}

export function end(): usize {
  return limit;
}

/** Notes that the input is not what it should be; the value does not matter then. */
export function fail(): i32 {
  failed = true;
  return -1;
}

export function hasFailed(): bool {
  return failed;
}

export function forgive(): void {
  failed = false;
}

/** The text last read: it is still in the input. */
export function keepText(at: usize, length: u32): void {
  textStart = at;
  textBytes = length;
}

export function textAt(): usize {
  return textStart;
}

export function textLength(): u32 {
  return textBytes;
}
