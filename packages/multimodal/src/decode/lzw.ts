/** Codes are at most twelve bits long. */
const maxCodes = 4096;

/**
 * Undoes GIF's variable-length LZW into `pixels`, and stops when they are full. Every input ends: each code adds a pixel or ends it.
 *
 * @returns how many pixels came out.
 */
export function unpackLzw(data: Uint8Array, minBits: number, pixels: Uint8Array): number {
  const clear = 1 << minBits;
  const prefixes = new Uint16Array(maxCodes);
  const suffixes = new Uint8Array(maxCodes);
  const lengths = new Uint16Array(maxCodes);
  for (let code = 0; code < clear; code++) [suffixes[code], lengths[code]] = [code, 1];
  let [next, bits, previous] = [clear + 2, minBits + 1, -1];
  let [held, heldBits, out] = [0, 0, 0];

  /** Writes a code's string, whose end is found first, and returns its first pixel. */
  const write = (code: number): number => {
    const length = lengths[code] as number;
    let [at, from] = [out + length - 1, code];
    for (; at > out; at--) {
      if (at < pixels.length) pixels[at] = suffixes[from] as number;
      from = prefixes[from] as number;
    }
    if (out < pixels.length) pixels[out] = suffixes[from] as number;
    out += length;
    return suffixes[from] as number;
  };

  for (let at = 0; out < pixels.length;) {
    while (heldBits < bits && at < data.length) {
      held |= (data[at++] as number) << heldBits;
      heldBits += 8;
    }
    if (heldBits < bits) break;
    const code = held & ((1 << bits) - 1);
    held >>>= bits;
    heldBits -= bits;
    if (code === clear) {
      [next, bits, previous] = [clear + 2, minBits + 1, -1];
      continue;
    }
    if (code === clear + 1 || code > next || (code === next && previous === -1) || (previous === -1 && code > clear)) break;
    let first: number;
    if (code < next) first = write(code);
    else {
      // The code that is being defined: the previous string and its own first pixel once more.
      first = write(previous);
      if (out < pixels.length) pixels[out] = first;
      out += 1;
    }
    if (previous !== -1 && next < maxCodes) {
      prefixes[next] = previous;
      suffixes[next] = first;
      lengths[next] = (lengths[previous] as number) + 1;
      next += 1;
      if (next === 1 << bits && bits < 12) bits += 1;
    }
    previous = code;
  }
  return Math.min(out, pixels.length);
}
