/** What a card needs: alternatives, each a list of roles that must all be there (spec llm 1.2). */
export type Needs = readonly (readonly string[])[];

/** The alternatives of which every role is there. */
export const metNeeds = (needs: Needs, present: ReadonlySet<string>): Needs => needs.filter((all) => all.every((role) => present.has(role)));

/** The roles that are waited for: those of the first alternative that nobody has; none once any alternative is met. */
export function missingRoles(needs: Needs, present: ReadonlySet<string>): string[] {
  if (needs.length === 0 || metNeeds(needs, present).length > 0) return [];
  return (needs[0] ?? []).filter((role) => !present.has(role));
}
