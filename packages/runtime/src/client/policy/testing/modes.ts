import { readFileSync } from 'node:fs';

const { cases } = JSON.parse(readFileSync(new URL('../../../../../../vectors/kv-router/router_modes.json', import.meta.url), 'utf8')) as {
  cases: Record<string, unknown>[];
};

/** What real frontends over four workers did in one mode. */
export function modeOf(mode: string): Record<string, unknown> {
  const found = cases.find((entry) => entry['mode'] === mode);
  if (found === undefined) throw new Error(`no capture of mode ${mode}`);
  return found;
}

/** The items in groups of so many. */
export const groupsOf = <T>(size: number, items: readonly T[]): T[][] =>
  Array.from({ length: items.length / size }, (_, group) => items.slice(group * size, (group + 1) * size));
