import type { LogFields } from '../log.ts';

/** How loud one line is. */
export type LineLevel = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';

/** One log line before it is text. */
export interface LogEvent {
  readonly time: string;
  readonly level: LineLevel;
  readonly target: string;
  readonly message: string;
  readonly fields: LogFields;
  /** Facts of all lines of the logger, such as those of the span that the line belongs to. */
  readonly bound: LogFields;
}

/** Makes a line of an event, its end included. */
export type LineFormat = (event: LogEvent) => string;

/** Name of the bound fact that says which span a line belongs to; readable lines begin with it. */
const spanName = 'span_name';

/** Ids are noise between words: readable lines leave out the span's own, as the real ones do. */
const notReadable: readonly string[] = [spanName, 'span_id'];

const colours: Readonly<Record<LineLevel, number>> = { DEBUG: 34, INFO: 32, WARN: 33, ERROR: 31 };

/**
 * `2026-11-23T17:38:23.141735Z  INFO target: message name=value`, a span's name before the target and its facts behind the
 * line's own (spec lora-recorder-misc 5).
 */
export function readable(options: { colour: boolean }): LineFormat {
  const style = options.colour
    ? (code: number, text: string): string => `\u001b[${code}m${text}\u001b[0m`
    : (_code: number, text: string): string => text;
  const fact = (name: string, value: unknown): string => ` ${style(3, name)}${style(2, '=')}${json(value)}`;
  return ({ time, level, target, message, fields, bound }) => {
    const span = bound[spanName];
    let text = `${style(2, time)} ${style(colours[level], level.padStart(5))} `;
    if (typeof span === 'string') text += `${style(1, span)}: `;
    text += `${style(2, target)}${style(2, ':')} ${oneLine(message)}`;
    for (const name of Object.keys(fields)) if (fields[name] !== undefined) text += fact(name, fields[name]);
    for (const name of Object.keys(bound)) if (bound[name] !== undefined && !notReadable.includes(name)) text += fact(name, bound[name]);
    return `${text}\n`;
  };
}

/** One JSON object a line: time, level, target, message, then all facts by their names (spec lora-recorder-misc 5). */
export const jsonLine: LineFormat = ({ time, level, target, message, fields, bound }) => {
  const facts: LogFields = { ...bound, ...fields };
  let text = `{"time":"${time}","level":"${level}","target":${JSON.stringify(target)},"message":${JSON.stringify(message)}`;
  for (const name of Object.keys(facts).sort()) if (facts[name] !== undefined) text += `,${JSON.stringify(name)}:${json(facts[name])}`;
  return `${text}}\n`;
};

/** A value as JSON, a bigint as its digits; what JSON can't say is said as text. Always one line. */
function json(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return JSON.stringify(String(value));
  try {
    return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner)) ?? JSON.stringify(String(value));
  } catch {
    return JSON.stringify(String(value));
  }
}

/** Control characters would make two lines of one, or paint the reader's terminal. */
const oneLine = (message: string): string =>
  // eslint-disable-next-line no-control-regex -- these are the ones that are meant
  /[\u0000-\u001f\u007f]/.test(message)
    ? message.replaceAll(/[\u0000-\u001f\u007f]/g, (character) => JSON.stringify(character).slice(1, -1))
    : message;
