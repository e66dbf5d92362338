/** A JSON object in which a name may come twice: what the strict reader makes of such an object. */
export class Members {
  readonly entries: readonly (readonly [string, unknown])[];
  constructor(entries: readonly (readonly [string, unknown])[]) {
    this.entries = entries;
  }
}

/** A value in which of each repeated name only the last member is left, as `JSON.parse` leaves it. */
export function withoutRepeats(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutRepeats);
  if (value instanceof Members) return fromEntries(value.entries);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return fromEntries(Object.entries(value));
}

const fromEntries = (entries: readonly (readonly [string, unknown])[]): unknown =>
  // Object.fromEntries makes own members even of `__proto__`.
  Object.fromEntries(entries.map(([name, member]) => [name, withoutRepeats(member)]));
