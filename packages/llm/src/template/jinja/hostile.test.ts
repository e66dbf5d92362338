import { describe, expect, test } from 'vitest';
import { compile } from './compile.ts';

const render = (template: string, variables: Record<string, unknown> = {}): string => compile(template)(variables);

describe('JavaScript is out of reach', () => {
  const inner = ['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', '__defineGetter__', 'call', 'bind', 'then'];
  const values: Record<string, unknown> = { dict: { a: 1 }, map: new Map([['a', 1]]), list: [1], text: 'x', number: 1, yes: true };

  test.each(inner)('%s is no attribute, element or method of anything', (name) => {
    for (const value of Object.keys(values)) {
      expect(render(`{{ ${value}.${name} is defined }}{{ ${value}['${name}'] is defined }}{{ '${name}' in {} }}`, values)).toBe('FalseFalseFalse');
      expect(() => render(`{{ ${value}.${name}() }}`, values)).toThrow('has no attribute');
    }
    const objects = `namespace() range raise_exception dict cycler('a') joiner() text.upper`.split(' ');
    for (const object of objects) expect(render(`{{ (${object}).${name} is defined }}`, values)).toBe('False');
    expect(render(`{{ [dict]|map(attribute='${name}.${name}', default='none')|first }}`, values)).toBe('none');
    expect(render(`{{ ${name} is defined }}`, values)).toBe('False');
  });

  test('a member of that name is data like any other', () => {
    const dict = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": "c"}') as unknown;
    expect(render('{{ dict.constructor }}{{ dict["__proto__"].polluted }}{{ dict|tojson }}', { dict })).toBe(
      'c1{"__proto__": {"polluted": 1}, "constructor": "c"}',
    );
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test('a dict or namespace made by a template pollutes nothing', () => {
    render(
      '{% set d = {"__proto__": {"polluted": 1}} %}{% set n = namespace(__proto__=d) %}{% set n.constructor = 1 %}{{ d }}{{ dict(__proto__=1) }}',
    );
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe('what would never end is cut short', () => {
  test.each([
    ['a huge range', '{% for i in range(10**9) %}{% endfor %}', 'Range too big'],
    ['loops in loops', '{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}', 'loops more than'],
    ['a chosen loop in a loop', '{% for i in range(100000) %}{% for j in range(100000) if false %}{% endfor %}{% endfor %}', 'loops more than'],
    ['a huge power', '{{ 10 ** (10 ** 10) }}', 'too large'],
    ['a huge product', '{% set n = namespace(v=3) %}{% for i in range(99) %}{% set n.v = n.v * n.v %}{% endfor %}', 'too large'],
    ['a repeated text', "{{ 'x' * 10**9 }}", 'too long'],
    ['a repeated list', '{{ [1] * 10**9 }}', 'too long'],
    ['a doubled text', "{% set n = namespace(v='xx') %}{% for i in range(99) %}{% set n.v = n.v + n.v %}{% endfor %}", 'too long'],
    ['a joined doubled text', "{% set n = namespace(v='xx') %}{% for i in range(99) %}{% set n.v = n.v ~ n.v %}{% endfor %}", 'too long'],
    ['a replaced text', "{% set a = 'a' * 10000 %}{{ a.replace('a', a) }}", 'too long'],
    ['a padded text', "{{ 'x'.center(10**9) }}", 'too long'],
    ['a formatted width', "{{ '%999999999d' % 1 }}{{ '{:>999999999}'.format(1) }}", 'too long'],
    ['a macro that calls itself', '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', 'deeper than'],
    ['two macros that call each other', '{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}', 'deeper than'],
    ['a loop that recurses', '{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}', 'deeper than'],
  ])('%s', (_name, template, message) => {
    expect(() => render(template)).toThrow(message);
  });

  test('deeply nested sources are refused, not crashed on', () => {
    const deep = 5000;
    expect(() => compile(`{{ ${'('.repeat(deep)}1${')'.repeat(deep)} }}`)).toThrow('nested deeper');
    expect(() => compile(`{{ ${'['.repeat(deep)}1${']'.repeat(deep)} }}`)).toThrow('nested deeper');
    expect(() => compile(`{{ ${'not '.repeat(deep)}1 }}`)).toThrow('nested deeper');
    expect(() => compile(`{{ ${'-'.repeat(deep)}1 }}`)).toThrow('nested deeper');
    expect(() => compile('{% if 1 %}'.repeat(deep) + '{% endif %}'.repeat(deep))).toThrow('nested deeper');
    expect(() => compile(`{{ ${'1 if 1 else '.repeat(deep)}1 }}`)).toThrow('nested deeper');
  });

  test('deeply nested values are refused, not crashed on', () => {
    let value: unknown = 1;
    for (let level = 0; level < 10_000; level++) value = [value];
    expect(() => render('{{ value|tojson }}', { value })).toThrow('too deep');
    expect(() => render('{{ value }}', { value })).toThrow('too deep');
    expect(() => render('{{ value == other }}', { value, other: [value] })).toThrow('too deep');
  });

  test('text that is all blanks or brackets is worked through once', () => {
    const blanks = `a${' '.repeat(200_000)}b`;
    const text = '<'.repeat(200_000);
    expect(render('{{ blanks.strip()|length }} {{ blanks.rstrip()|length }} {{ blanks|trim|length }} {{ blanks.split()|length }}', { blanks })).toBe(
      '200002 200002 200002 2',
    );
    expect(render('{{ text|striptags|length }} {{ digits|float(0) }}', { text, digits: `${'1'.repeat(200_000)}x` })).toBe('200000 0');
  });
});
