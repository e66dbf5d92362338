/** The bytes of one tier, by slot. A block is the same sequence of bytes in every tier, in as many pieces as a tier likes. */
export interface TierStorage extends AsyncDisposable {
  /** The pieces of a block in this process's memory; tiers elsewhere have none. */
  pieces?(slot: number): readonly Uint8Array[];
  /** Copies a block out, into pieces that hold it exactly. */
  read(slot: number, into: readonly Uint8Array[]): Promise<void>;
  /** Copies a block in. After a failure the slot's bytes are anything. */
  write(slot: number, from: readonly Uint8Array[]): Promise<void>;
}

/** Copies a block from one tier to another: through memory of its own only where neither is in this process's memory. */
export async function moveBlock(
  from: TierStorage,
  to: TierStorage,
  block: { readonly source: number; readonly target: number; readonly bytes: number },
): Promise<void> {
  if (from.pieces !== undefined) return await to.write(block.target, from.pieces(block.source));
  if (to.pieces !== undefined) return await from.read(block.source, to.pieces(block.target));
  const between = [new Uint8Array(block.bytes)];
  await from.read(block.source, between);
  await to.write(block.target, between);
}

/** Copies bytes from pieces to pieces that may be cut elsewhere. */
export function copyPieces(from: readonly Uint8Array[], to: readonly Uint8Array[]): void {
  let at = 0;
  let filled = 0;
  for (const piece of from) {
    let done = 0;
    while (done < piece.length) {
      const target = to[at] as Uint8Array;
      const count = Math.min(piece.length - done, target.length - filled);
      copyBytes(piece, target, { from: done, to: filled, count });
      done += count;
      filled += count;
      if (filled === target.length) {
        at++;
        filled = 0;
      }
    }
  }
}

/** Node's own copy moves shared memory as fast as any; `TypedArray.set` goes slower there. */
function copyBytes(from: Uint8Array, to: Uint8Array, span: { from: number; to: number; count: number }): void {
  const source = Buffer.from(from.buffer, from.byteOffset, from.byteLength);
  source.copy(to, span.to, span.from, span.from + span.count);
}
