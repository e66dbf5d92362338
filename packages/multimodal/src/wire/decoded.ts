import { randomUUID } from 'node:crypto';
import { DynamoError } from '@dynamo/runtime';
import { hashText } from '../hash.ts';
import type { Media } from '../media.ts';
import { decodeRdmaMetadata, encodeRdmaMetadata } from './rdma-metadata.ts';

const formats = { png: 'Png', jpeg: 'Jpeg', webp: 'WebP', gif: 'Gif', bmp: 'Bmp', tiff: 'Tiff' } as const;
const channels = { L8: 1, La8: 2, Rgb8: 3, Rgba8: 4 } as const;

/** Writes an image whose pixels lie in shared memory, as workers get it under `Decoded` (spec multimodal 2). `descriptor` is that of `share`. */
export function encodeDecoded(media: Media, descriptor: string, hash: bigint): Record<string, unknown> {
  const { descriptors, agent } = decodeRdmaMetadata(descriptor);
  const [memory] = descriptors;
  return {
    nixl_metadata: agent,
    nixl_descriptor: { addr: memory?.ptr ?? 0n, size: memory?.size ?? 0, mem_type: 'Dram', device_id: 0 },
    shape: [...media.shape],
    dtype: media.dtype,
    metadata: { Image: { format: formats[media.format], color_type: media.colorType, layout: 'HWC' } },
    content_hash: hashText(hash),
  };
}

/** An image that has been decoded elsewhere: what it is, and the descriptor that `read` takes for its pixels. */
export interface DecodedImage {
  readonly descriptor: string;
  readonly media: Omit<Media, 'bytes'>;
}

type Members = Readonly<Record<string, unknown>>;
const members = (value: unknown): Members => (typeof value === 'object' && value !== null ? (value as Members) : {});

/**
 * Reads what stands under `Decoded`. The descriptor of a native agent passes here and is refused by `read`.
 *
 * @throws DynamoError `invalid_argument` for what isn't an image of whole 8-bit pixels.
 */
export function decodeDecoded(value: unknown): DecodedImage {
  const { nixl_metadata: agent, nixl_descriptor: memory, shape, dtype, metadata } = members(value);
  const { addr, size } = members(memory);
  const { format: name, color_type: colorType } = members(members(metadata)['Image']);
  const format = (Object.keys(formats) as (keyof typeof formats)[]).find((one) => formats[one] === name);
  const whole = Array.isArray(shape) && shape.length === 3 && shape.every((one) => Number.isSafeInteger(one) && one > 0) ? shape : undefined;
  const fits =
    whole !== undefined &&
    dtype === 'UINT8' &&
    typeof colorType === 'string' &&
    Object.hasOwn(channels, colorType) &&
    channels[colorType as keyof typeof channels] === whole[2] &&
    whole[0] * whole[1] * whole[2] === Number(size);
  if (!fits || format === undefined || typeof agent !== 'string' || (typeof addr !== 'bigint' && typeof addr !== 'number'))
    throw new DynamoError('invalid_argument', 'what stands under `Decoded` is no image of 8-bit pixels');
  const descriptors = [{ device: 'cpu', ptr: BigInt(addr), size: Number(size) }];
  return {
    descriptor: encodeRdmaMetadata({ descriptors, agent, notificationKey: randomUUID(), kind: 'read' }),
    media: { kind: 'image', shape: whole as [number, number, number], dtype: 'UINT8', format, colorType: colorType as Media['colorType'] },
  };
}
