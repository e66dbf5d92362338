/** A wire map, its members under their wire names. */
export type Wire = Record<string, unknown>;

/** The value as a map, or undefined when it is none. */
export const object = (value: unknown): Wire | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Wire) : undefined;

/** A value as an error message shows it: cut short, 64-bit integers as text, `nothing` for what is missing. */
export const describe = (value: unknown): string =>
  (JSON.stringify(value, (_key, member: unknown) => (typeof member === 'bigint' ? String(member) : member)) ?? 'nothing').slice(0, 80);
