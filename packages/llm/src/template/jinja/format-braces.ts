import { getAttribute, getItem } from './attributes.ts';
import { convert, type FormatField, formatField } from './format-number.ts';
import { checkText, TemplateError } from './template-error.ts';
import type { Named } from './values.ts';

const part = /\{\{|\}\}|\{([^{}!:]*)(?:!([rsa]))?(?::((?:[^{}]|\{[^{}]*\})*))?\}|[{}]/g;

const specification = /^(?:([\s\S])?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/u;

/** Python's `text.format(...)`. */
export function formatBraces(text: string, args: readonly unknown[], named: Named | undefined): string {
  let automatic = 0;
  const lookUp = (path: string): unknown => {
    const [, head = '', rest = ''] = /^([^.[]*)(.*)$/s.exec(path) ?? [];
    const key = head === '' ? String(automatic++) : head;
    const isIndex = /^\d+$/.test(key);
    if (isIndex ? Number(key) >= args.length : named?.has(key) !== true) throw new TemplateError(`no value for '{${key}}' in a format`);
    return follow(isIndex ? args[Number(key)] : named?.get(key), rest);
  };
  const made = text.replace(part, (whole, path?: string, how?: string, rules?: string) => {
    if (whole === '{{' || whole === '}}') return whole.charAt(0);
    if (path === undefined) throw new TemplateError(`single '${whole}' in a format`);
    const value = convert(lookUp(path), how);
    return formatField(value, readField(rules?.replace(/\{([^{}]*)\}/g, (_, inner: string) => String(lookUp(inner))) ?? ''));
  });
  checkText(made.length);
  return made;
}

function follow(start: unknown, path: string): unknown {
  let value = start;
  for (const [, name, key] of path.matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)) {
    value = name === undefined ? getItem(value, /^\d+$/.test(key ?? '') ? Number(key) : key) : getAttribute(value, name);
  }
  return value;
}

function readField(rules: string): FormatField {
  const found = specification.exec(rules);
  if (found === null) throw new TemplateError(`invalid format '${rules}'`);
  const [, fill, align, sign = '-', alternate, zero, width = '0', grouping = '', precision, type = ''] = found;
  return {
    fill: fill ?? (zero === undefined ? ' ' : '0'),
    align: (align ?? (zero === undefined ? '' : '=')) as FormatField['align'],
    sign,
    alternate: alternate !== undefined,
    width: Number(width),
    grouping,
    precision: precision === undefined ? undefined : Number(precision),
    type: type === 'n' ? '' : type,
  };
}
