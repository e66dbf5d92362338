import type { LogFields, Logger } from '../log.ts';
import { type FineClock, fineClock, timestamps } from './clock.ts';
import { filterOf, levels, type LogFilter } from './filter.ts';
import { jsonLine, type LineFormat, type LineLevel, readable } from './line.ts';
import { lineSink, type LineStream } from './sink.ts';

/** The logger of a process. Disposing hands over the last lines and lets go of the stream. */
export type ProcessLogger = Required<Logger> & Disposable;

/** What a process's logger may be given in the place of the process's own. */
export interface LineLoggerOptions {
  /** Where the variables are read; default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where lines go; default stderr. */
  readonly stream?: LineStream & { readonly isTTY?: boolean };
  readonly clock?: FineClock;
  /** Target of lines that no part speaks for; default `dynamo`. */
  readonly target?: string;
}

/** Whether the environment asks for JSON lines: the format's own variable wins over the older switch. */
export function wantsJson(env: Readonly<Record<string, string | undefined>>): boolean {
  const format = env['DYN_LOGGING_CONSOLE_FORMAT']?.toLowerCase();
  if (format === 'jsonl') return true;
  return format ? false : isTruthy(env['DYN_LOGGING_JSONL']);
}

/** Words that turn a switch of the real system on. */
export const isTruthy = (value: string | undefined): boolean => ['1', 'true', 'on', 'yes'].includes(value?.toLowerCase() ?? '');

/**
 * Opens the logger that the environment describes (spec lora-recorder-misc 5): which lines by `DYN_LOG`, readable or as JSON by
 * `DYN_LOGGING_CONSOLE_FORMAT` or `DYN_LOGGING_JSONL`, local time by `DYN_LOG_USE_LOCAL_TZ`, without colours by
 * `DYN_SDK_DISABLE_ANSI_LOGGING`.
 *
 * It writes to stderr, since stdout belongs to what a program has to say. Colours are for terminals.
 */
export function lineLogger(options: LineLoggerOptions = {}): ProcessLogger {
  const { env = process.env, stream = process.stderr, clock = fineClock(), target = 'dynamo' } = options;
  const colour = stream.isTTY === true && !isTruthy(env['DYN_SDK_DISABLE_ANSI_LOGGING']);
  const format = wantsJson(env) ? jsonLine : readable({ colour });
  const stamp = timestamps(isTruthy(env['DYN_LOG_USE_LOCAL_TZ']));
  const time = (): string => stamp(clock());
  const leftOut = (count: number): string =>
    format({ time: time(), level: 'WARN', target, message: 'log lines were left out: their reader is slow', fields: { count }, bound: {} });
  const sink = lineSink(stream, { leftOut });
  const outlet: Outlet = { filter: filterOf(env), format, time, write: (line) => sink.write(line) };
  const onExit = (): void => sink.flush();
  process.on('exit', onExit);
  return {
    ...speaker(outlet, target, {}),
    [Symbol.dispose]() {
      process.off('exit', onExit);
      sink[Symbol.dispose]();
    },
  };
}

interface Outlet {
  readonly filter: LogFilter;
  readonly format: LineFormat;
  readonly time: () => string;
  readonly write: (line: string) => void;
}

const nothing = (): void => {};

/** A logger for one target; levels that the filter leaves out cost a call and nothing more. */
function speaker(outlet: Outlet, target: string, bound: LogFields, loudest: number = outlet.filter(target)): Required<Logger> {
  const says = (level: LineLevel, at: number): Logger['info'] => {
    if (at > loudest) return nothing;
    return (fields, message) => outlet.write(outlet.format({ time: outlet.time(), level, target, message, fields, bound }));
  };
  return {
    debug: says('DEBUG', levels.indexOf('debug')),
    info: says('INFO', levels.indexOf('info')),
    warn: says('WARN', levels.indexOf('warn')),
    error: says('ERROR', levels.indexOf('error')),
    isLevelEnabled: (level) => levels.indexOf(level) <= loudest,
    child({ target: own, ...fields }) {
      const more = { ...bound, ...fields };
      return typeof own === 'string' && own !== target ? speaker(outlet, own, more) : speaker(outlet, target, more, loudest);
    },
  };
}
