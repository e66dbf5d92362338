import type { Flag } from './flags.ts';

/** What a flag's text means. */
export type FlagType = 'text' | 'list' | 'folder' | 'endpoint' | 'choice' | 'count' | 'countOrAuto' | 'number' | 'port' | 'switch';

/** The word after the flag in help. */
export const placeholders: Readonly<Record<FlagType, string>> = {
  text: 'text',
  list: 'text',
  folder: 'folder',
  endpoint: 'ns.comp.ep',
  choice: 'word',
  count: 'n',
  countOrAuto: 'n|auto',
  number: 'x',
  port: 'port',
  switch: '',
};

type Read = string | number | boolean | { readonly expected: string };

/** Text to value, one reader a type. */
export const readers: Readonly<Record<FlagType, (text: string, row: Flag) => Read>> = {
  text: (text) => text,
  // Given several times, or with commas; what the parts are, the command knows.
  list: (text) => (text.split(',').every((part) => part.trim() !== '') ? text : { expected: 'values with commas between them' }),
  folder: (text) => text,
  endpoint: (text) =>
    /^(dyn:\/\/)?[\w-]+\.[\w-]+\.[\w-]+$/.test(text) ? text : { expected: "namespace.component.endpoint, each of letters, digits, '-' and '_'" },
  choice: (text, row) => (row.choices?.includes(text) === true ? text : { expected: `one of ${available(row).join(', ')}` }),
  count: (text, row) => whole(text, { least: row.least ?? 0, most: 1_000_000_000 }),
  number: (text) => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : { expected: 'a number' }),
  countOrAuto: (text, row) => (text === 'auto' ? text : whole(text, { least: row.least ?? 0, most: 1_000 })),
  port: (text) => whole(text, { least: 0, most: 65_535 }),
  switch: (text) =>
    ['true', '1', 'yes', 'on'].includes(text.toLowerCase())
      ? true
      : ['false', '0', 'no', 'off'].includes(text.toLowerCase())
        ? false
        : { expected: 'true or false' },
};

/** The words of a choice that this version can do. */
export const available = (row: Flag): readonly string[] => (row.choices ?? []).filter((word) => row.later?.(word) !== true);

function whole(text: string, { least, most }: { least: number; most: number }): Read {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  return value >= least && value <= most
    ? value
    : { expected: most > 65_535 ? `a whole number from ${least}` : `a whole number from ${least} to ${most}` };
}
