/**
 * Where in its edge a node has a block hash (spec kv-router 3.1, `index`: later duplicates win).
 *
 * Not stored: the hint of the lookup entry is compared with the edge. Odd nodes, where a rank stored another block_hash
 * for tokens that were there, or one hash twice, are searched from the end, and by a table when they are long.
 */
import { reserve } from './alloc';
import { INDEX, ODD, blocksOf, has, lengthOf } from './node';
import { VALUE, tableGet, tablePut } from './table';

export const NOWHERE: u32 = 0xffffffff;
let shortLength: u32 = 32;

/** For tests: up to which length an odd edge is searched without a table. */
export function setShortLength(length: u32): void {
  shortLength = length;
}

export function position(node: usize, block: u64, hint: u32): u32 {
  const length = lengthOf(node);
  const blocks = blocksOf(node);
  if (!has(node, ODD) && hint < length && load<u64>(blocks + (hint << 3)) == block) return hint;
  if (length > shortLength && indexed(node, blocks, length)) {
    const slot = tableGet(node + INDEX, block);
    return slot ? load<u32>(slot, VALUE) - 1 : NOWHERE;
  }
  for (let i = length; i > 0; i--) if (load<u64>(blocks + ((i - 1) << 3)) == block) return i - 1;
  return NOWHERE;
}

function indexed(node: usize, blocks: usize, length: u32): bool {
  const index = node + INDEX;
  if (load<usize>(index)) return true;
  if (!reserve(<u64>length * 96 + 32768)) return false;
  for (let i: u32 = 0; i < length; i++) store<u32>(tablePut(index, load<u64>(blocks + (i << 3))), i + 1, VALUE);
  return true;
}
