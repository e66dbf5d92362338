/** Facts that go with a log line. Values are printed as JSON; bigint prints as a decimal. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where a runtime writes its log lines: one method a level, facts first, then one short sentence. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger whose lines all carry these facts. The fact `target` says which part speaks, and filters may choose by it. */
  child?(fields: LogFields): Logger;
  /** Whether lines of a level are written; where it is missing, lines that come with every request are not. */
  isLevelEnabled?(level: 'debug' | 'info' | 'warn' | 'error'): boolean;
}

/** Says nothing: the default of every library entry point. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** The same logger speaking for one part of the system; a logger that makes no children speaks as it does. */
export const speakingFor = (log: Logger, target: string): Logger => log.child?.({ target }) ?? log;
