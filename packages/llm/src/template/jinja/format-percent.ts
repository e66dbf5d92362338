import { convert, type FormatField, formatField } from './format-number.ts';
import { checkText, TemplateError } from './template-error.ts';
import { dictGet, isDict, Tuple, wholeNumber } from './values.ts';

const directive = /%(?:\(([^)]*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+))?[hlL]?([\s\S]?)/g;

/** Python's `text % values`. */
export function formatPercent(text: string, values: unknown): string {
  const list: readonly unknown[] = values instanceof Tuple ? values : [values];
  let at = 0;
  const next = (): unknown => {
    if (at >= list.length) throw new TemplateError('not enough arguments for format string');
    return list[at++];
  };
  const made = text.replace(directive, (whole, name?: string, flags = '', width?: string, precision?: string, type = '') => {
    if (type === '%') return '%';
    const wide = width === '*' ? wholeNumber(next(), 'a width') : Number(width ?? 0);
    const decimals = precision === '*' ? wholeNumber(next(), 'a precision') : precision === undefined ? undefined : Number(precision);
    const value = name === undefined ? next() : member(values, name);
    if (!'sradiuoxXeEfFgGc'.includes(type) || type === '') throw new TemplateError(`unsupported format '${whole}'`);
    return write(value, type, flags, wide, decimals);
  });
  if (at < list.length && values instanceof Tuple) throw new TemplateError('not all arguments converted during string formatting');
  if (at === 0 && !(values instanceof Tuple) && !isDict(values) && !Array.isArray(values))
    throw new TemplateError('not all arguments converted during string formatting');
  checkText(made.length);
  return made;
}

function member(values: unknown, name: string): unknown {
  if (!isDict(values)) throw new TemplateError('format requires a mapping');
  return dictGet(values, name);
}
function write(value: unknown, type: string, flags: string, width: number, precision: number | undefined): string {
  const text = type === 's' || type === 'r' || type === 'a';
  const field: FormatField = {
    fill: flags.includes('0') && !text && !flags.includes('-') ? '0' : ' ',
    align: flags.includes('-') ? '<' : flags.includes('0') && !text ? '=' : '>',
    sign: flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '-',
    alternate: flags.includes('#'),
    width,
    grouping: '',
    precision,
    type: text ? 's' : type,
  };
  return formatField(text ? convert(value, type === 's' ? 's' : 'r') : value, field);
}
