/**
 * The JSON that publishers write most: runs of blocks and of hashes without white space and without anything else in
 * them. What is not of this form is left to the reader of everything, at the place where it begins.
 */
import { end, here, moveTo } from './cursor';
import { addBlock } from './decoded';
import { eightDigits, isEightDigits } from './json';
import { begins, text } from './text';

const blockStart: usize = text('{"block_hash":');
const blockMiddle: usize = text(',"tokens_hash":');

let behind: usize = 0;

/** Reads a number and notes where it ends; `behind` is 0 when it is not a plain one below 2^64. */
function number(at: usize): u64 {
  const start = at;
  let value: u64 = 0;
  if (isEightDigits(load<u64>(at))) {
    value = eightDigits(load<u64>(at));
    at += 8;
    if (isEightDigits(load<u64>(at))) {
      value = value * 100000000 + eightDigits(load<u64>(at));
      at += 8;
    }
  }
  let digit = <u32>load<u8>(at) - 0x30;
  while (digit < 10) {
    // Nineteen digits always fit.
    const length = at - start;
    if (length >= 19 && (length > 19 || value > 1844674407370955161 || (value == 1844674407370955161 && digit > 5))) {
      behind = 0;
      return 0;
    }
    value = value * 10 + <u64>digit;
    digit = <u32>load<u8>(++at) - 0x30;
  }
  const leading = load<u8>(start) == 0x30 && at - start > 1;
  behind = at == start || at >= end() || leading ? 0 : at;
  return value;
}

/** Reads plain blocks from inside an array; says whether there were any. */
export function plainBlocks(): bool {
  let at = here();
  const first = at;
  while (begins(at, blockStart)) {
    const block = number(at + 14);
    if (behind == 0 || !begins(behind, blockMiddle)) break;
    const tokens = number(behind + 15);
    if (behind == 0 || load<u8>(behind) != 0x7d) break;
    addBlock(block, tokens);
    at = behind + 1;
    moveTo(at);
    if (load<u8>(at) != 0x2c) break;
    at++;
  }
  return here() != first;
}

/** Reads plain hashes from inside an array, those with a comma or the end of the array behind them; says whether there were any. */
export function plainHashes(): bool {
  let at = here();
  const first = at;
  while (true) {
    const block = number(at);
    if (behind == 0) break;
    const next = <u32>load<u8>(behind);
    if (next != 0x2c && next != 0x5d) break;
    addBlock(block, 0);
    moveTo(behind);
    if (next == 0x5d) break;
    at = behind + 1;
  }
  return here() != first;
}
