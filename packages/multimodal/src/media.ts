import { DynamoError } from '@dynamo/runtime';
import { decodeImage } from './decode/index.ts';
import type { DecodeRules } from './decode/rules.ts';
import { fetchMedia } from './fetch/index.ts';
import type { Resolve } from './fetch/resolve.ts';
import type { FetchRules } from './fetch/rules.ts';

/** One medium of a request: where it is, or what it is. */
export interface MediaPart {
  /** What the caller says it is; the bytes decide its format. */
  readonly kind: 'image' | 'video' | 'audio';
  /** `https:`, `http:` or `data:` by the policy's leave. */
  readonly url?: string;
  /** The encoded bytes themselves; then nothing is fetched. */
  readonly data?: Uint8Array;
  /** An image that a frontend has decoded: what a worker finds under `Decoded`. Its pixels are read from there. */
  readonly decoded?: unknown;
}

/** A decoded image. */
export interface Media {
  readonly kind: 'image';
  /** Height, width, channels. */
  readonly shape: readonly [number, number, number];
  readonly dtype: 'UINT8';
  /** The pixels, row by row, channel beside channel. */
  readonly bytes: Uint8Array;
  readonly format: 'png' | 'jpeg' | 'webp' | 'gif' | 'bmp' | 'tiff';
  readonly colorType: 'L8' | 'La8' | 'Rgb8' | 'Rgba8';
}

/** How one `Multimodal` loads. */
export interface LoadRules {
  readonly fetch: FetchRules;
  readonly decode: DecodeRules;
  readonly resolve?: Resolve | undefined;
}

/** Fetches, sniffs and decodes one medium. */
export async function loadMedia(part: MediaPart, rules: LoadRules, signal?: AbortSignal): Promise<Media> {
  signal?.throwIfAborted();
  if (part.kind !== 'image')
    throw new DynamoError('unsupported_media', `No decoder for ${part.kind} is installed; images are decoded`, { data: { step: 'decode' } });
  if (part.url === undefined && part.data === undefined) throw new DynamoError('invalid_argument', 'A medium needs a URL or data');
  const encoded = part.data ?? (await fetchMedia(part.url as string, rules.fetch, { signal, resolve: rules.resolve }));
  const { width, height, colorType, bytes, format } = await decodeImage(encoded, rules.decode);
  signal?.throwIfAborted();
  return { kind: 'image', shape: [height, width, bytes.byteLength / (width * height)], dtype: 'UINT8', bytes, format, colorType };
}
