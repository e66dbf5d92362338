import type { ImageDecoder } from './decoder.ts';
import { unpackLzw } from './lzw.ts';

/** Bytes that must be there: a read past the end is an image that is cut off. */
class Cursor {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    const value = this.#bytes[this.at++];
    if (value === undefined) throw new Error('it is cut off');
    return value;
  }

  word(): number {
    return this.byte() | (this.byte() << 8);
  }

  take(size: number): Uint8Array {
    const taken = this.#bytes.subarray(this.at, this.at + size);
    if (taken.length < size) throw new Error('it is cut off');
    this.at += size;
    return taken;
  }

  /** A chain of sub-blocks up to the empty one. */
  blocks(): Uint8Array[] {
    const found: Uint8Array[] = [];
    for (let size = this.byte(); size > 0; size = this.byte()) found.push(this.take(size));
    return found;
  }
}

interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly indices: Uint8Array;
  readonly interlaced: boolean;
}

const tableSize = (flags: number): number => 3 * (1 << ((flags & 7) + 1));

/** Decodes the first frame of a GIF onto a transparent canvas, always as RGBA (spec multimodal 4). */
export const decodeGif: ImageDecoder = (bytes, head, rules) => {
  const cursor = new Cursor(bytes, 10);
  const flags = cursor.byte();
  cursor.take(2);
  let palette = (flags & 0x80) === 0 ? undefined : cursor.take(tableSize(flags));
  const transparent = skipToFrame(cursor);
  const [left, top, width, height, frameFlags] = [cursor.word(), cursor.word(), cursor.word(), cursor.word(), cursor.byte()];
  if (width * height > rules.maxPixels) throw new Error('its frame is over the limit of pixels');
  if ((frameFlags & 0x80) !== 0) palette = cursor.take(tableSize(frameFlags));
  if (palette === undefined) throw new Error('it has no palette');
  const minBits = cursor.byte();
  if (minBits < 1 || minBits > 11) throw new Error('its codes are damaged');
  const data = Buffer.concat(cursor.blocks());
  const indices = new Uint8Array(width * height);
  if (unpackLzw(data, minBits, indices) < indices.length) throw new Error('it has too few pixels');
  const canvas = new Uint8Array(head.width * head.height * 4);
  paint(canvas, head.width, { left, top, width, height, indices, interlaced: (frameFlags & 0x40) !== 0 }, { palette, transparent });
  return Promise.resolve({ width: head.width, height: head.height, colorType: 'Rgba8', bytes: canvas });
};

/** Goes over extensions up to the first frame; a graphic control says which index is transparent. */
function skipToFrame(cursor: Cursor): number {
  let transparent = -1;
  for (;;) {
    const kind = cursor.byte();
    if (kind === 0x2c) return transparent;
    if (kind !== 0x21) throw new Error('it has no frame');
    const label = cursor.byte();
    const [first] = cursor.blocks();
    if (label === 0xf9 && first !== undefined && first.length >= 4) transparent = ((first[0] as number) & 1) === 0 ? -1 : (first[3] as number);
  }
}

/** Row order of an interlaced frame: where each of the four passes starts, and its step. */
const passes: readonly (readonly [number, number])[] = [
  [0, 8],
  [4, 8],
  [2, 4],
  [1, 2],
];

function* rowsOf(frame: Frame): Generator<number> {
  if (!frame.interlaced) for (let row = 0; row < frame.height; row++) yield row;
  else for (const [start, step] of passes) for (let row = start; row < frame.height; row += step) yield row;
}

/** Pixels outside of the canvas are dropped, and those whose color doesn't exist stay transparent. */
function paint(canvas: Uint8Array, canvasWidth: number, frame: Frame, colors: { palette: Uint8Array; transparent: number }): void {
  const { palette, transparent } = colors;
  const visible = Math.min(frame.width, canvasWidth - frame.left);
  let from = 0;
  for (const row of rowsOf(frame)) {
    const start = ((frame.top + row) * canvasWidth + frame.left) * 4;
    for (let column = 0; column < visible && start + column * 4 < canvas.length; column++) {
      const index = frame.indices[from + column] as number;
      const at = start + column * 4;
      if (index * 3 >= palette.length) continue;
      canvas.set(palette.subarray(index * 3, index * 3 + 3), at);
      canvas[at + 3] = index === transparent ? 0 : 255;
    }
    from += frame.width;
  }
}
