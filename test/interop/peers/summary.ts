/** An item as a line can hold it: long text is told by its length and what it is made of. */
export function summary(value: unknown): unknown {
  if (typeof value === 'string' && value.length > 1_000) return `${value.length} × ${[...new Set(value)].join('')}`;
  if (Array.isArray(value)) return value.map(summary);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, summary(member)]));
}
