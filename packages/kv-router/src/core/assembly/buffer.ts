/** Growing scratch areas: {0 pointer, 4 capacity in bytes}. What they hold is lost when they grow, unless `keep`. */
import { affordable, allocBuffer, granted, release } from './alloc';

let bytes: usize = 0;

/** Memory of all buffers: it is no part of what the index holds. */
export function bufferBytes(): usize {
  return bytes;
}

/** Where a buffer of at least `wanted` bytes begins; 0 when it cannot be had. The first `keep` bytes stay. */
export function room(buffer: usize, wanted: usize, keep: usize = 0): usize {
  const have = load<usize>(buffer, 4);
  const at = load<usize>(buffer);
  if (wanted <= have) return at;
  if (wanted > 0x70000000 || !affordable(wanted)) return 0;
  const capacity = granted(wanted);
  const next = allocBuffer(wanted);
  if (keep) memory.copy(next, at, keep);
  if (at) release(at, have);
  bytes += capacity - have;
  store<usize>(buffer, next);
  store<usize>(buffer, capacity, 4);
  return next;
}
