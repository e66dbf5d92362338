const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes `%XX` in a part of a path; what is no such escape stays as it is. Undefined when the bytes are not UTF-8. */
export function percentDecode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  const source = Buffer.from(text, 'latin1');
  const bytes = Buffer.alloc(source.length);
  let length = 0;
  for (let at = 0; at < source.length; at++) {
    const escape = source[at] === 0x25 ? text.slice(at + 1, at + 3) : '';
    if (/^[0-9a-fA-F]{2}$/.test(escape)) {
      bytes[length++] = Number.parseInt(escape, 16);
      at += 2;
    } else bytes[length++] = source[at] ?? 0;
  }
  try {
    return strict.decode(bytes.subarray(0, length));
  } catch {
    return undefined;
  }
}
