import type { ImageFormat, ImageHead } from './decoder.ts';

/**
 * Reads what an image says of itself: its format by its first bytes, whatever anybody called it, and its size, so that a bomb is
 * refused before it is decoded.
 *
 * @returns undefined when it is none of the known formats, or its head is cut off or says nothing.
 */
export function readHead(bytes: Uint8Array): ImageHead | undefined {
  const format = sniffImage(bytes);
  if (format === undefined) return undefined;
  try {
    const head = readers[format](new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return head === undefined || head.width < 1 || head.height < 1 ? undefined : { format, ...head };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The format of an image by its first bytes. */
export function sniffImage(bytes: Uint8Array): ImageFormat | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, 12));
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (start.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (start.startsWith('GIF87a') || start.startsWith('GIF89a')) return 'gif';
  if (start.startsWith('RIFF') && start.endsWith('WEBP')) return 'webp';
  if (start.startsWith('II*\0') || start.startsWith('MM\0*')) return 'tiff';
  return start.startsWith('BM') ? 'bmp' : undefined;
}

type Size = Omit<ImageHead, 'format'>;

const readers: Readonly<Record<ImageFormat, (view: DataView) => Size | undefined>> = { png, jpeg, webp, gif, bmp, tiff };

const channelsOfPng: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 4, 4: 2, 6: 4 };

function png(view: DataView): Size | undefined {
  const channels = channelsOfPng[view.getUint8(25)];
  if (channels === undefined || view.getUint32(12) !== 0x49484452) return undefined;
  return { width: view.getUint32(16), height: view.getUint32(20), pixelBytes: channels * (view.getUint8(24) === 16 ? 2 : 1) };
}

/** Frames that hold a size: all start-of-frame markers but those of tables that share their numbers. */
const isFrame = (marker: number): boolean => marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;

function jpeg(view: DataView): Size | undefined {
  for (let at = 2; ;) {
    if (view.getUint8(at) !== 0xff) return undefined;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) at += 1;
    else if (isFrame(marker))
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5), pixelBytes: Math.min(view.getUint8(at + 9), 4) };
    // The picture begins without a size.
    else if (marker === 0xda || marker === 0xd9) return undefined;
    else at += marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8) ? 2 : 2 + Math.max(view.getUint16(at + 2), 2);
  }
}

function gif(view: DataView): Size {
  return { width: view.getUint16(6, true), height: view.getUint16(8, true), pixelBytes: 4 };
}

function bmp(view: DataView): Size {
  if (view.getUint32(14, true) === 12) return { width: view.getUint16(18, true), height: view.getUint16(20, true), pixelBytes: 4 };
  return { width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)), pixelBytes: 4 };
}

function webp(view: DataView): Size | undefined {
  const chunk = view.getUint32(12);
  if (chunk === 0x56503858) return { width: 1 + u24(view, 24), height: 1 + u24(view, 27), pixelBytes: 4 };
  if (chunk === 0x56503820) return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff, pixelBytes: 4 };
  if (chunk !== 0x5650384c) return undefined;
  const bits = view.getUint32(21, true);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff), pixelBytes: 4 };
}

const u24 = (view: DataView, at: number): number => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);

/** Tags of a TIFF directory: width, height, bits of a sample, samples of a pixel. */
const tags = { width: 256, height: 257, bits: 258, samples: 277 };

function tiff(view: DataView): Size {
  const little = view.getUint8(0) === 0x49;
  const directory = view.getUint32(4, little);
  const found = new Map<number, number>();
  for (let entry = 0; entry < view.getUint16(directory, little); entry++) {
    const at = directory + 2 + entry * 12;
    const tag = view.getUint16(at, little);
    const [type, count] = [view.getUint16(at + 2, little), view.getUint32(at + 4, little)];
    const valueAt = type === 3 && count > 2 ? view.getUint32(at + 8, little) : at + 8;
    if (tag > tags.samples) break;
    if (tag >= tags.width) found.set(tag, type === 3 ? view.getUint16(valueAt, little) : view.getUint32(valueAt, little));
  }
  const bits = Math.max(found.get(tags.bits) ?? 1, 8);
  return {
    width: found.get(tags.width) ?? 0,
    height: found.get(tags.height) ?? 0,
    pixelBytes: Math.ceil(bits / 8) * Math.max(found.get(tags.samples) ?? 1, 1),
  };
}
