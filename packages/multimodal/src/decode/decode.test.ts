import { readFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Multimodal } from '../multimodal.ts';
import { contentHash, hashText } from '../hash.ts';
import { decoderContract, type Sample } from './decoder.contract.ts';
import { toEightBits } from './depth.ts';
import { decodeImage } from './index.ts';
import { unpackLzw } from './lzw.ts';
import { decodeRules } from './rules.ts';

const vector = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../../../vectors/multimodal/${name}.json`, import.meta.url), 'utf8'));

interface Case {
  readonly name: string;
  readonly image_base64: string;
  readonly expect: { shape?: number[]; metadata?: { Image: { format: string; color_type: string } }; content_hash?: string; size?: number };
}
const cases = (vector('decode') as Case[]).filter((given) => given.expect.shape !== undefined);
const bytesOf = (name: string): Uint8Array => Uint8Array.from(Buffer.from(cases.find((found) => found.name === name)?.image_base64 ?? '', 'base64'));

/** A PNG of black pixels that its head and its data agree on. */
function blackPng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length, 0);
    body.copy(framed, 4);
    framed.writeUInt32BE(crc32(body), body.length + 4);
    return framed;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const data = deflateSync(Buffer.alloc((3 * width + 1) * height), { level: 1 });
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

describe('pixels and hashes are those of a 1.6.1 frontend', () => {
  test.for(cases)('$name', async (given) => {
    await using multimodal = new Multimodal();
    const media = await multimodal.load({ kind: 'image', url: `data:;base64,${given.image_base64}` });
    expect(media.shape).toEqual(given.expect.shape);
    expect(media.bytes.byteLength).toBe(given.expect.size);
    expect(media.colorType).toBe(given.expect.metadata?.Image.color_type);
    expect(media.format).toBe(given.expect.metadata?.Image.format.toLowerCase());
    expect(hashText(multimodal.hash(media))).toBe(given.expect.content_hash);
  });

  test('content_hash.json', () => {
    for (const given of vector('content_hash') as { shape: [number, number, number]; bytes_hex: string; content_hash: string }[]) {
      expect(hashText(contentHash({ shape: given.shape, bytes: Buffer.from(given.bytes_hex, 'hex') }))).toBe(given.content_hash);
    }
    expect(() => contentHash({ shape: [2, 2, 3], bytes: new Uint8Array(11) })).toThrow('11 bytes are not of shape 2×2×3');
  });

  test('an image over 128 MiB is refused, and little is spent on it', async () => {
    const bomb = blackPng(6500, 7000);
    expect(bomb.byteLength).toBeLessThan(2_000_000);
    await expect(decodeImage(bomb, decodeRules())).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect(decodeImage(bomb, decodeRules({ maxWidth: 8000 }))).rejects.toMatchObject({ code: 'payload_too_large' });
  });
});

test('16-bit samples are rounded', () => {
  const samples = [0, 128, 129, 257, 32_768, 65_406, 65_407, 65_535];
  expect([...toEightBits(new Uint8Array(Uint16Array.from(samples).buffer))]).toEqual(samples.map((value) => Math.floor((value + 128) / 257)));
});

test('a GIF frame that is smaller than its canvas leaves the rest transparent, and LZW ends with its input', async () => {
  // A canvas of 3×2 with a frame of 1×1 at (1, 1) in the second colour.
  const gif = Buffer.from('47494638396103000200800000ff000000ff002c0100010001000100000202' + '4c01003b', 'hex');
  const { bytes } = await decodeImage(gif, decodeRules());
  expect([...bytes]).toEqual([...Array.from({ length: 16 }, () => 0), 0, 255, 0, 255, 0, 0, 0, 0]);
  expect(unpackLzw(new Uint8Array(4), 8, new Uint8Array(100))).toBe(3);
});

test('what nobody decodes is refused by name', async () => {
  await using multimodal = new Multimodal();
  for (const kind of ['video', 'audio'] as const) {
    await expect(multimodal.load({ kind, url: 'https://media.example/x' })).rejects.toMatchObject({ code: 'unsupported_media' });
  }
  await expect(multimodal.load({ kind: 'image', data: Buffer.from('<svg/>') })).rejects.toMatchObject({ code: 'unsupported_media' });
  await expect(multimodal.load({ kind: 'image' })).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(multimodal.load({ kind: 'image', data: bytesOf('gif') }, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
    'enough',
  );
});

const little =
  (at: number) =>
  (bytes: Uint8Array, width: number): void =>
    void Buffer.from(bytes.buffer).writeUInt16LE(width, at);

/** A PNG's claim keeps its checksum right: only the data can belie it. */
function claimPng(bytes: Uint8Array, width: number): void {
  const buffer = Buffer.from(bytes.buffer);
  buffer.writeUInt32BE(width, 16);
  buffer.writeUInt32BE(crc32(buffer.subarray(12, 29)), 29);
}

/** The frame that gives the size begins somewhere after the tables. */
function claimJpeg(bytes: Uint8Array, width: number): void {
  const buffer = Buffer.from(bytes.buffer);
  buffer.writeUInt16BE(width, buffer.indexOf(Buffer.from('ffc0', 'hex')) + 7);
}

/** Its width is the first entry of the directory, in a little-endian file. */
function claimTiff(bytes: Uint8Array, width: number): void {
  const buffer = Buffer.from(bytes.buffer);
  const directory = buffer.readUInt32LE(4);
  for (let at = directory + 2; at < buffer.length; at += 12) if (buffer.readUInt16LE(at) === 256) return void buffer.writeUInt16LE(width, at + 8);
}

const samples: readonly Sample[] = [
  { format: 'png', bytes: bytesOf('png-palette'), claim: claimPng },
  { format: 'jpeg', bytes: bytesOf('jpeg-RGB'), claim: claimJpeg },
  { format: 'webp', bytes: bytesOf('webp-lossless'), claim: little(21) },
  { format: 'gif', bytes: bytesOf('gif'), claim: little(6) },
  { format: 'bmp', bytes: bytesOf('bmp-RGB'), claim: little(18) },
  { format: 'tiff', bytes: bytesOf('tiff-RGB'), claim: claimTiff },
];
for (const sample of samples) decoderContract(sample);

test('thousands of images leave no memory behind', async () => {
  const images = samples.map(({ bytes }) => bytes);
  const round = async (): Promise<void> => {
    for (const bytes of images) await decodeImage(bytes, decodeRules()).catch(() => {});
  };
  for (let warm = 0; warm < 100; warm++) await round();
  const before = process.memoryUsage().rss;
  for (let more = 0; more < 300; more++) await round();
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
});
