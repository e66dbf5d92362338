import { inertPoints, packedClasses } from './unicode-tables.ts';

/** Bits of a code point's classes, as the reference's regular expressions see them. */
export const letter = 1;
export const number = 2;
export const space = 4;
/** Upper-case, title-case, modifier and other letters, and marks: the first set of the o200k pattern. */
export const upper = 16;
/** Lower-case, modifier and other letters, and marks: the second set of the o200k pattern. */
export const lower = 32;

/** The class bits of every code point. */
export function unicodeClasses(): Uint8Array {
  const classes = new Uint8Array(0x110000);
  const packed = Buffer.from(packedClasses, 'base64');
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = packed[at++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  for (let point = 0; at < packed.length;) {
    point += next();
    const length = next();
    classes.fill(next(), point, point + length);
    point += length;
  }
  return classes;
}

const inert = new RegExp(`[${inertPoints.map((point) => `\\u{${point.toString(16)}}`).join('')}]`, 'u');
// A string made of the matches and what lies between them.
const pieces = new RegExp(`${inert.source}|[^${inert.source.slice(1)}+`, 'gu');
const mayChange = /[\u0300-\u{10ffff}]/u;

/**
 * NFC as the reference computes it: its Unicode is older than Node's, so that newer characters neither compose nor let
 * others compose across them.
 */
export function referenceNfc(text: string): string {
  if (!mayChange.test(text)) return text;
  if (!inert.test(text)) return text.normalize('NFC');
  return text.replace(pieces, (piece) => piece.normalize('NFC'));
}
