/** What the user gave can't be used: one line on stderr and exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** How a failure ends the process. */
export interface Ending {
  readonly line: string;
  readonly code: 1 | 2;
}

/** Codes of a `DynamoError` that blame what the user gave: options, variables, folders, a port. */
const blamesUser: ReadonlySet<unknown> = new Set(['invalid_argument', 'not_found', 'not_implemented']);

/** Turns whatever ended a command into its line and its exit code; the one place that decides either. */
export function endingOf(error: unknown): Ending {
  if (error instanceof UsageError) return { line: error.message, code: 2 };
  if (!(error instanceof Error)) return { line: String(error), code: 1 };
  // By name and not by class: the runtime is not loaded yet when a flag is wrong.
  const code = error.name === 'DynamoError' && blamesUser.has(Reflect.get(error, 'code')) ? 2 : 1;
  return { line: error.message.replaceAll(/\s*\n\s*/g, ' '), code };
}
