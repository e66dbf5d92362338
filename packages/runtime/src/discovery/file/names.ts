import { DynamoError } from '../../error.ts';

/** Longest file name that common file systems take, in bytes. */
const longestName = 255;

/** Names that start so are half-written records: never read (spec runtime-wire 3.2). */
export const temporaryPrefix = '.tmp_';

/** File name of a key: every byte that is no ASCII letter or digit as `%XX` (spec runtime-wire 3.2). */
export function fileNameOf(key: string): string {
  let name = '';
  for (const byte of Buffer.from(key)) {
    const plain = (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
    name += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  if (name.length > longestName) {
    throw new DynamoError(
      'invalid_argument',
      `discovery key of ${key.length} characters needs a file name of ${name.length} bytes, the limit is ${longestName}`,
      {
        data: { key, limit: longestName },
      },
    );
  }
  return name;
}

/** Key of a file name; undefined for names that no key has. */
export function keyOf(name: string): string | undefined {
  if (name.startsWith(temporaryPrefix) || !/^(?:[A-Za-z0-9]|%[0-9A-F]{2})+$/.test(name)) return undefined;
  const bytes = Buffer.from(
    name.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  const key = bytes.toString();
  return key.includes('\uFFFD') ? undefined : key;
}
