/** Code units that JSON is made of. */
export const chars = {
  tab: 0x09,
  newline: 0x0a,
  return: 0x0d,
  space: 0x20,
  quote: 0x22,
  plus: 0x2b,
  comma: 0x2c,
  minus: 0x2d,
  dot: 0x2e,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  bracket: 0x5b,
  backslash: 0x5c,
  endBracket: 0x5d,
  f: 0x66,
  n: 0x6e,
  t: 0x74,
  u: 0x75,
  brace: 0x7b,
  endBrace: 0x7d,
} as const;

/** Whether a code unit is a decimal digit. */
export const isDigit = (char: number): boolean => char >= chars.zero && char <= chars.nine;

/** Whether a code unit begins an exponent. */
export const isExponent = (char: number): boolean => (char | 0x20) === 0x65;
