/** Facts that go with a log line. Values are printed as JSON; bigint prints as a decimal. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where a runtime writes its log lines: one method a level, facts first, then one short sentence. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** Says nothing: the default of every library entry point. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
