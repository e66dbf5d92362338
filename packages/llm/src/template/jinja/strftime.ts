import { TemplateError } from './template-error.ts';

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const dayMs = 86_400_000;

const name = (names: readonly string[], index: number): string => names[index] ?? '';
const pad = (value: number, width = 2): string => String(value).padStart(width, '0');
const dayOfYear = (date: Date): number =>
  Math.round((Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) / dayMs) + 1;

const directives: Readonly<Record<string, (date: Date) => string>> = {
  a: (date) => name(days, date.getDay()).slice(0, 3),
  A: (date) => name(days, date.getDay()),
  b: (date) => name(months, date.getMonth()).slice(0, 3),
  B: (date) => name(months, date.getMonth()),
  c: (date) => strftime('%a %b %e %H:%M:%S %Y', date),
  C: (date) => pad(Math.floor(date.getFullYear() / 100)),
  d: (date) => pad(date.getDate()),
  D: (date) => strftime('%m/%d/%y', date),
  e: (date) => String(date.getDate()).padStart(2),
  f: (date) => pad(date.getMilliseconds() * 1000, 6),
  F: (date) => strftime('%Y-%m-%d', date),
  h: (date) => name(months, date.getMonth()).slice(0, 3),
  H: (date) => pad(date.getHours()),
  I: (date) => pad(date.getHours() % 12 || 12),
  j: (date) => pad(dayOfYear(date), 3),
  m: (date) => pad(date.getMonth() + 1),
  M: (date) => pad(date.getMinutes()),
  n: () => '\n',
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  R: (date) => strftime('%H:%M', date),
  s: (date) => String(Math.floor(date.getTime() / 1000)),
  S: (date) => pad(date.getSeconds()),
  t: () => '\t',
  T: (date) => strftime('%H:%M:%S', date),
  u: (date) => String(date.getDay() || 7),
  U: (date) => pad(Math.floor((dayOfYear(date) + 6 - date.getDay()) / 7)),
  w: (date) => String(date.getDay()),
  W: (date) => pad(Math.floor((dayOfYear(date) + 6 - ((date.getDay() + 6) % 7)) / 7)),
  x: (date) => strftime('%m/%d/%y', date),
  X: (date) => strftime('%H:%M:%S', date),
  y: (date) => pad(date.getFullYear() % 100),
  Y: (date) => String(date.getFullYear()),
  // A time without zone, as transformers takes it, writes nothing here.
  z: () => '',
  Z: () => '',
  '%': () => '%',
};

/** Python's `strftime` of a local time without zone, in English. */
export function strftime(format: string, date: Date): string {
  return format.replace(/%(-?)([\s\S]?)/g, (whole, bare: string, letter: string) => {
    const directive = directives[letter];
    if (directive === undefined) throw new TemplateError(`unknown date format '${whole}'`);
    const text = directive(date);
    return bare === '' ? text : text.replace(/^[0 ]+(?=.)/, '');
  });
}
