import type { LogFields, Logger } from '@dynamo/runtime';

const levels = ['off', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** Least level that is written. */
export type LogLevel = (typeof levels)[number];

/**
 * A logger of one line an event: time, level, process, sentence, facts.
 *
 * It writes to stderr, since stdout belongs to what a command has to say.
 */
export function lineLogger(least: LogLevel, write: (line: string) => void = (line) => void process.stderr.write(line)): Logger {
  const lines = (level: Exclude<LogLevel, 'off' | 'trace'>): ((fields: LogFields, message: string) => void) => {
    if (levels.indexOf(level) > levels.indexOf(least)) return () => {};
    return (fields, message) => write(`${new Date().toISOString()} ${level.toUpperCase().padEnd(5)} ${process.pid} ${message}${facts(fields)}\n`);
  };
  return { debug: lines('debug'), info: lines('info'), warn: lines('warn'), error: lines('error') };
}

const facts = (fields: LogFields): string =>
  Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${text(value)}`)
    .join('');

/** JSON with the digits of a bigint; whatever JSON can't say is said as text. */
function text(value: unknown): string {
  try {
    return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner)) ?? String(value);
  } catch {
    return JSON.stringify(String(value));
  }
}
