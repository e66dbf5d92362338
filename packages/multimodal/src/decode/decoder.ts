import type { DecodeRules } from './rules.ts';

/** Image formats that are known by their first bytes. */
export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'gif' | 'bmp' | 'tiff';

/** How the bytes of a pixel lie: their number is the last dimension of the shape. */
export type ColorType = 'L8' | 'La8' | 'Rgb8' | 'Rgba8';

/** What the head of an image claims, before a byte of it is decoded. */
export interface ImageHead {
  readonly format: ImageFormat;
  readonly width: number;
  readonly height: number;
  /** Most bytes that one decoded pixel can take. */
  readonly pixelBytes: number;
}

/** Decoded pixels, row by row. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly colorType: ColorType;
  readonly bytes: Uint8Array;
}

/** Turns the bytes of an image into pixels. It is only asked for images whose head keeps to the limits, and throws for bad ones. */
export type ImageDecoder = (bytes: Uint8Array, head: ImageHead, rules: DecodeRules) => Promise<Pixels>;
