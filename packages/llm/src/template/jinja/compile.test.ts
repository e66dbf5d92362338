import { readFileSync } from 'node:fs';
import { float } from '@dynamo/runtime/internal';
import { describe, expect, test } from 'vitest';
import { compile } from './compile.ts';

interface Row {
  template: string;
  variables?: Record<string, unknown>;
  output?: string;
  fails?: string;
}

const rows = JSON.parse(readFileSync(new URL('../testing/jinja2-cases.json', import.meta.url), 'utf8')) as Row[];
const render = (template: string, variables: Record<string, unknown> = {}): string => compile(template)(variables);

describe('as Python renders it', () => {
  test.each(rows.filter(({ output }) => output !== undefined))('$template', ({ template, variables, output }) => {
    expect(render(template, variables)).toBe(output);
  });

  test.each(rows.filter(({ fails }) => fails !== undefined))('refuses $template', ({ template, variables }) => {
    expect(() => render(template, variables)).toThrow();
  });
});

describe('numbers from JSON', () => {
  test('a float that was written as 1.0 prints as one, alone, in lists and in JSON', () => {
    expect(render('{{ x }} {{ [x] }} {{ x|tojson }} {{ {"a": x}|tojson(indent=1) }}', { x: float(1) })).toBe('1.0 [1.0] 1.0 {\n "a": 1.0\n}');
  });

  test('a float and an integer of one value are equal, and their sum is a float', () => {
    expect(render('{{ x == 1 }} {{ x + 1 }} {{ x is float }} {{ x is integer }}', { x: float(1) })).toBe('True 2.0 True False');
  });

  test('an integer of 64 bits keeps its digits', () => {
    expect(render('{{ x }} {{ x|tojson }} {{ x + 1 }} {{ x > 5 }}', { x: 18446744073709551615n })).toBe(
      '18446744073709551615 18446744073709551615 18446744073709551616 True',
    );
  });

  test('a Map keeps members in order whose names are digits', () => {
    const x = new Map<string, unknown>([
      ['10', 1],
      ['2', { b: 1 }],
    ]);
    expect(render('{{ x|tojson }} {{ x["2"].b }} {% for k in x %}{{ k }},{% endfor %}', { x })).toBe('{"10": 1, "2": {"b": 1}} 1 10,2,');
  });
});

describe('dates', () => {
  const now = (): Date => new Date(2026, 0, 5, 14, 3, 9);
  test('strftime_now writes local time in English', () => {
    const text = compile("{{ strftime_now('%d %b %Y|%Y-%m-%d %H:%M:%S|%A %B %-d|%I:%M %p|%j|%y|%%') }}", { now })({});
    expect(text).toBe('05 Jan 2026|2026-01-05 14:03:09|Monday January 5|02:03 PM|005|26|%');
  });

  test('an unknown directive is refused', () => {
    expect(() => compile("{{ strftime_now('%Q') }}", { now })({})).toThrow("unknown date format '%Q'");
  });
});

describe('a template runs many times', () => {
  test('nothing stays from one rendering to the next', () => {
    const twice = compile('{% set n = namespace(v=x) %}{% for i in [1] %}{% set y = x %}{% set n.v = n.v + 1 %}{% endfor %}{{ n.v }}{{ y }}');
    expect([twice({ x: 1 }), twice({ x: 5 }), twice({ x: 1 })]).toEqual(['2', '6', '2']);
  });

  test('what a template is given stays as it was', () => {
    const given = { messages: [{ role: 'user', content: 'x' }] };
    const before = structuredClone(given);
    expect(() => render('{% set x = messages.append(1) %}', given)).toThrow("access to attribute 'append' of 'list' object is unsafe");
    expect(() => render('{% set x = messages[0].update({"a": 1}) %}', given)).toThrow('unsafe');
    render('{% set y = messages + [1] %}{% set z = messages[0].copy() %}{% set s = messages|sort(attribute="role") %}{{ y }}', given);
    expect(given).toEqual(before);
  });
});

describe('messages of failures', () => {
  test.each([
    ['{{ a.b.c }}', "'a.b' is undefined, so it has no 'c' (line 1)"],
    ["\n{{ a['b'][0] }}", `'a["b"]' is undefined, so it has no elements (line 2)`],
    ['{{ a.nope() }}', "'dict' object has no attribute 'nope' (line 1)"],
    ['{{ nope(1) }}', "'nope' is undefined (line 1)"],
    ['{{ 1|nope }}', "no filter named 'nope' (line 1)"],
    ['\n\n{{ 1 is nope }}', "no test named 'nope' (line 3)"],
    ["{{ raise_exception('only text') }}", 'only text'],
    ["{{ 'a' + 1 }}", "unsupported operand types for +: 'str' and 'int'"],
    ["{% include 'x' %}", "'include' is not supported: a chat template stands alone (line 1)"],
    ['{{ x|tojson(nope=1) }}', "tojson() has no parameter 'nope'"],
    ['{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}', "macro 'm' takes not more than 1 argument(s)"],
  ])('%s', (template, message) => {
    expect(() => render(template, { a: {} })).toThrow(message);
  });
});
