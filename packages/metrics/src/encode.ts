import type { FamilyShape, Line, Series } from './instruments.ts';

/** A number as the real system prints it: integers without a fraction, never an exponent (spec metrics 3). */
export function encodeNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const [digits = '', exponent] = text.split('e');
  if (exponent === undefined) return text;
  const sign = digits.startsWith('-') ? '-' : '';
  const [whole = '', fraction = ''] = digits.replace('-', '').split('.');
  const shift = Number(exponent);
  const all = whole + fraction;
  const point = whole.length + shift;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${all}`;
  return sign + (point >= all.length ? all.padEnd(point, '0') : `${all.slice(0, point)}.${all.slice(point)}`);
}

/** Text of one family in format 0.0.4; empty without samples. */
export function encodeFamily(shape: Pick<FamilyShape, 'name' | 'help' | 'kind' | 'buckets'>, series: readonly Series[]): string {
  if (series.length === 0) return '';
  const { name, kind } = shape;
  const help = shape.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  let text = `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`;
  for (const { labels, cells, lines } of series) {
    const pairs = encodeLabels(labels);
    if (lines !== undefined) text += encodeLines(name, pairs, lines);
    else if (kind === 'histogram') text += encodeHistogram(name, pairs, { buckets: shape.buckets, cells });
    else text += `${name}${braced(pairs)} ${encodeNumber(cells[0] as number)}\n`;
  }
  return text;
}

function encodeHistogram(name: string, pairs: string, { buckets, cells }: { buckets: readonly number[]; cells: Float64Array }): string {
  let text = '';
  let count = 0;
  const comma = pairs === '' ? '' : ',';
  for (let at = 0; at <= buckets.length; at++) {
    count += cells[at + 1] as number;
    const bound = at === buckets.length ? '+Inf' : encodeNumber(buckets[at] as number);
    text += `${name}_bucket{${pairs}${comma}le="${bound}"} ${count}\n`;
  }
  return `${text}${name}_sum${braced(pairs)} ${encodeNumber(cells[0] as number)}\n${name}_count${braced(pairs)} ${count}\n`;
}

function encodeLines(name: string, pairs: string, lines: readonly Line[]): string {
  let text = '';
  for (const { suffix, last, value } of lines) {
    const own = last === undefined ? '' : encodeLabels({ [last[0]]: last[1] });
    text += `${name}${suffix}${braced(pairs === '' || own === '' ? pairs + own : `${pairs},${own}`)} ${encodeNumber(value)}\n`;
  }
  return text;
}

/** Labels in the order of their names. */
export const encodeLabels = (labels: Readonly<Record<string, string>>): string =>
  Object.keys(labels)
    .toSorted()
    .map((label) => `${label}="${escape(labels[label] ?? '')}"`)
    .join(',');

const braced = (pairs: string): string => (pairs === '' ? '' : `{${pairs}}`);

const escape = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
