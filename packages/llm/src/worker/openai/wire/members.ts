/** A JSON object with any members. */
export type Wire = Readonly<Record<string, unknown>>;

/** The value where it is an object and no array. */
export const objectOf = (value: unknown): Wire | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Wire) : undefined;

/** A member that is a text with something in it. */
export const textAt = (wire: Wire | undefined, name: string): string | undefined => {
  const value = wire?.[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** A member that is a count. */
export const countAt = (wire: Wire | undefined, name: string): number | undefined => {
  const value = wire?.[name];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
};

/** Members that are set, in this order. */
export const setMembers = (members: Wire): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== null));
