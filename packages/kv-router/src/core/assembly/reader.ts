/** One way to read both encodings: what the event schema asks for, answered by the one that is in use. */
import { here } from './cursor';
import * as json from './json';
import * as msgpack from './msgpack';

let isJson: bool = false;

export function useJson(on: bool): void {
  isJson = on;
}

export function readsJson(): bool {
  return isJson;
}

/** Enters a map; give what it returns to `nextEntry`. */
export function enterMap(): i32 {
  if (isJson) return json.take(0x7b) ? 1 : -1;
  return msgpack.enter(0x80, 15, 0xde);
}

/** Goes to the next entry of a map and reads its name; negative at the end or on a failure. */
export function nextEntry(left: i32): i32 {
  if (left < 0) return -1;
  if (!isJson) return left == 0 || !msgpack.readText() ? -1 : left - 1;
  return json.next(left, 0x7d) < 0 || !json.key() ? -1 : 0;
}

/** Enters an array; give what it returns to `nextItem`. */
export function enterArray(): i32 {
  if (isJson) return json.take(0x5b) ? 1 : -1;
  return msgpack.enter(0x90, 15, 0xdc);
}

/** Goes to the next item of an array; negative at the end or on a failure. */
export function nextItem(left: i32): i32 {
  if (left < 0) return -1;
  return isJson ? json.next(left, 0x5d) : left - 1;
}

export function unsigned(): u64 {
  return isJson ? json.unsigned() : msgpack.unsigned();
}

/** Takes a null if one is next. */
export function nil(): bool {
  return isJson ? json.nil() : msgpack.nil();
}

/** Whether a text is next. */
export function isText(): bool {
  return isJson ? json.peek() == 0x22 : msgpack.isText();
}

export function readText(): bool {
  return isJson ? json.readText() : msgpack.readText();
}

/** Whether an array is next. */
export function isArray(): bool {
  if (isJson) return json.peek() == 0x5b;
  const type = <u32>load<u8>(here());
  return (type & 0xf0) == 0x90 || type == 0xdc || type == 0xdd;
}

export function pass(): void {
  if (isJson) json.pass();
  else msgpack.pass();
}
