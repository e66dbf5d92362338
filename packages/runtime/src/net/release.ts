/** Below this a buffer is left to the collector, in bytes: there it is cheap. */
const largeBytes = 16 * 1024;

/**
 * Gives the memory of a large buffer back now, not with the next collection: the collector runs whenever some tens of
 * megabytes of buffers have come together, and costs more than all that is done with them.
 *
 * Nobody else may hold a view of the memory: every view of it is empty afterwards. A buffer that may be one of several in
 * Node's pool is left alone.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes;
  const alone = bytes.length === buffer.byteLength || buffer.byteLength > Buffer.poolSize;
  if (alone && bytes.length >= largeBytes && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
