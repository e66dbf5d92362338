import type { Flag } from './flags.ts';

const row = (flag: `--${string}`, option: string, more: Pick<Flag, 'type' | 'help'> & Partial<Flag>): Flag => ({
  flag,
  option: `keys.${option}`,
  commands: ['keys'],
  ...more,
});

/** Options of `dynamo keys`: what the new key may do. */
export const keyFlags: readonly Flag[] = [
  row('--key-id', 'id', { type: 'text', help: "Name of the key's owner, as logs and errors show it." }),
  row('--file', 'file', { type: 'text', help: "The key file to append the key's line to; by default the line is printed." }),
  row('--models', 'models', { type: 'text', fallbackText: 'all', help: 'Models that the key may ask, separated by commas.' }),
  row('--requests-per-minute', 'requestsPerMinute', { type: 'count', least: 1, help: 'Limit on requests. None by default.' }),
  row('--tokens-per-minute', 'tokensPerMinute', { type: 'count', least: 1, help: 'Limit on tokens, prompt and answer together. None by default.' }),
  row('--admin', 'admin', { type: 'switch', help: 'Opens the admin routes to it.' }),
  row('--expires-days', 'expiresDays', { type: 'count', least: 1, help: 'How many days it is good for. No limit by default.' }),
];
