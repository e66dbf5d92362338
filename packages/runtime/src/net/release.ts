/**
 * Gives the memory of a large buffer back now, not with the next collection: the collector runs whenever some tens of
 * megabytes of buffers have come together, and costs more than all that is done with them.
 *
 * Nobody else may hold a view of the memory: every view of it is empty afterwards. Buffers that may come from Node's pool
 * are left alone.
 */
export function release(bytes: Uint8Array): void {
  if (bytes.buffer.byteLength > Buffer.poolSize && bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0);
}
