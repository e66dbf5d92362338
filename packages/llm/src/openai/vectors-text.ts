import { doubleText, singleJson } from './spelling.ts';

/** JSON of a vector as 1.6.1 prints it: the shortest digits that read back as float32. */
export const vectorText = (vector: Iterable<number>): string => {
  let text = '';
  for (const value of vector) text += `${text === '' ? '' : ','}${singleJson(value)}`;
  return `[${text}]`;
};

/** JSON of a float64; what is no number is null. */
export const numberText = (value: number): string => (Number.isFinite(value) ? doubleText(value) : 'null');

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The bytes of standard base64 with its padding; undefined where it is none. */
export function bytesOf(text: string): Buffer | undefined {
  return text.length % 4 === 0 && base64.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** The vector that base64 of little-endian float32 holds; undefined where it is none. */
export function vectorOf(text: string): readonly number[] | undefined {
  const bytes = bytesOf(text);
  if (bytes === undefined || bytes.length % 4 !== 0) return undefined;
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}
