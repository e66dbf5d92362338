/** What a package may show to users. */
export interface Surface {
  /** Most exported names: values are classes, functions and constants; undefined where the surface has no limit. */
  readonly budget?: { readonly values: number; readonly types: number };
  /** Types that exports mention and that are not exported themselves: this list may only shrink. */
  readonly forgotten?: readonly string[];
}

/** Every package that people install, by its short name. A limit is raised by a decision file, not in passing. */
export const surfaces: Readonly<Record<string, Surface>> = {
  metrics: { budget: { values: 2, types: 6 } },
  // Discovery and EventPlane are the types of options that tests and siblings use; TypedClientOptions that of a member marked @internal.
  runtime: { budget: { values: 2, types: 18 }, forgotten: ['Discovery', 'EventPlane', 'TypedClientOptions'] },
  // What receipts, selectors and stored blocks are made of, and the types of members marked @internal.
  'kv-router': {
    budget: { values: 2, types: 20 },
    forgotten: [
      'CostTerms',
      'Eligibility',
      'MediaObject',
      'PolicyConfig',
      'PolicyProfile',
      'RouterRole',
      'RouterSettings',
      'SelectionFacts',
      'SelectorName',
    ],
  },
  multimodal: { budget: { values: 1, types: 7 } },
  llm: { budget: { values: 1, types: 18 } },
  internal: {},
};

/** How many names a report exports. Overloads and merged declarations of one name count once. */
export function countExports(report: string): { values: number; types: number } {
  const values = new Set<string>();
  const types = new Set<string>();
  for (const [, kind, name] of report.matchAll(/^export (?:declare )?(?:abstract )?(class|function|const|let|enum|interface|type) (\w+)/gm)) {
    (kind === 'interface' || kind === 'type' ? types : values).add(name as string);
  }
  for (const name of values) types.delete(name);
  return { values: values.size, types: types.size };
}
