/** Gauges that count what each process has of its own: they add up. All others say the same of the same thing, and the largest is taken. */
const addedGauges = /_(requests|clients|connections|bytes|fds|handles|tasks|depth|in_flight|inflight|threads|streams|resources)$/;

interface Family {
  readonly head: string[];
  type: string;
  readonly samples: Map<string, number>;
}

/**
 * Adds up the Prometheus texts of several processes: counters, histograms and summaries are sums, gauges as `addedGauges` says.
 * Families and samples keep the order in which they come first.
 */
export function sumMetrics(texts: readonly string[]): string {
  const families = new Map<string, Family>();
  for (const text of texts) addText(families, text);
  const lines: string[] = [];
  for (const { head, samples } of families.values()) {
    lines.push(...head);
    for (const [name, value] of samples) lines.push(`${name} ${numberText(value)}`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function addText(families: Map<string, Family>, text: string): void {
  for (const line of text.split('\n')) {
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line) ?? [];
    if (word !== undefined) {
      const family = familyOf(families, name);
      if (word === 'TYPE') family.type = rest;
      if (!family.head.includes(line)) family.head.push(line);
      continue;
    }
    // A label's text may hold spaces and braces; the value is what follows the last of them.
    const [, sample = '', value = ''] = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)(?: \d+)?$/.exec(line) ?? [];
    if (sample === '') continue;
    const owner = ownerOf(families, sample.split('{', 1)[0] ?? '');
    const family = familyOf(families, owner);
    const before = family.samples.get(sample);
    const now = Number(value.replace('Inf', 'Infinity'));
    family.samples.set(
      sample,
      before === undefined ? now : family.type === 'gauge' && !addedGauges.test(owner) ? Math.max(before, now) : before + now,
    );
  }
}

/** The family that a sample's name belongs to. */
function ownerOf(families: ReadonlyMap<string, Family>, name: string): string {
  if (families.has(name)) return name;
  const base = name.replace(/_(bucket|sum|count|total)$/, '');
  return families.has(base) ? base : name;
}

function familyOf(families: Map<string, Family>, name: string): Family {
  let family = families.get(name);
  if (family === undefined) families.set(name, (family = { head: [], type: 'untyped', samples: new Map() }));
  return family;
}

const numberText = (value: number): string => (value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value));
