/**
 * Seconds as a whole number of nanoseconds: the nearest to the exact binary value, ties to even (spec mocker 2).
 *
 * A product rounded to a double is wrong by one near ties, so only those are worked out exactly.
 */
export function nanoseconds(seconds: number): number {
  const product = seconds * 1e9;
  const down = Math.floor(product);
  const fraction = product - down;
  // The product's own rounding error is below one part in 2^53.
  if (Math.abs(fraction - 0.5) > product * 2 ** -52) return fraction > 0.5 ? down + 1 : down;
  return exactNanoseconds(seconds);
}

const words = new DataView(new ArrayBuffer(8));

function exactNanoseconds(seconds: number): number {
  words.setFloat64(0, seconds);
  const bits = words.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const mantissa = (bits & 0xf_ffff_ffff_ffffn) | (exponent === 0 ? 0n : 1n << 52n);
  // seconds = mantissa · 2^shift
  const shift = Math.max(exponent, 1) - 1075;
  const scaled = mantissa * 1_000_000_000n;
  if (shift >= 0) return Number(scaled << BigInt(shift));
  const divisor = 1n << BigInt(-shift);
  const whole = scaled / divisor;
  const twice = (scaled % divisor) * 2n;
  const up = twice > divisor || (twice === divisor && whole % 2n === 1n);
  return Number(up ? whole + 1n : whole);
}

/** A duration in nanoseconds as seconds, summed from whole and part as the real clock does it. */
function seconds(nanos: number): number {
  const whole = Math.floor(nanos / 1e9);
  return whole + (nanos - whole * 1e9) / 1e9;
}

/**
 * A modelled duration in milliseconds as the real engine charges it: whole nanoseconds, divided by the speed-up, whole
 * nanoseconds again (spec mocker 2). A ratio of 0 scales nothing.
 */
export function charged(rawMs: number, ratio: number): number {
  let nanos = nanoseconds(rawMs / 1000);
  if (ratio > 0 && nanos > 0) nanos = nanoseconds(seconds(nanos) / ratio);
  const ms = seconds(nanos) * 1000;
  return seconds(nanoseconds(ms / 1000)) * 1000;
}
