import { expect, test } from 'vitest';
import { JsonCompacter } from './json-compacter.ts';
import { compactJson, isJson } from './json-text.ts';

/** The same numbers for each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const parts = [
  '{', '}', '[', ']', ',', ':', ' ', '\n', '"', '"a"', '"b\\u00e9\\n"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ud83dx\\ude00"', '"\\/\\"\\\\"',
  '1', '1.50', '1e5', '-0', '0.1e-7', '18446744073709551616', 'true', 'null', 'tru', 'e', '01', '\\', '\\u12', '1.', '😀',
]; // prettier-ignore

const made = (pieces: Iterable<string>): string => {
  const compacter = new JsonCompacter();
  return Array.from(pieces, (piece) => compacter.push(piece)).join('') + compacter.end();
};

/** A value of random parts. */
function value(pick: (below: number) => number, depth: number): string {
  const space = (): string => ['', ' ', '\n\t'][pick(3)] as string;
  const list = (item: () => string): string => Array.from({ length: pick(4) }, item).join(`${space()},${space()}`);
  const simple = [
    '"a"',
    '"b\\u00e9\\n"',
    '"\\ud83d\\ude00 \\ud83d\\ud83d\\udE00"',
    '"\\ud83dx"',
    '"\\/\\"\\\\"',
    '1',
    '1.50',
    '1e5',
    '-0',
    'true',
    'null',
  ];
  const kind = depth > 3 ? 2 : pick(3);
  if (kind === 2) return simple[pick(simple.length)] as string;
  if (kind === 1) return `[${space()}${list(() => value(pick, depth + 1))}${space()}]`;
  return `{${space()}${list(() => `"k${pick(9)}"${space()}:${space()}${value(pick, depth + 1)}`)}${space()}}`;
}

test('piece by piece it is what it is whole', () => {
  const pick = numbers(7);
  for (let round = 0; round < 2000; round++) {
    const json = value(pick, 0);
    const at = pick(json.length + 1);
    const whole = compactJson(json);
    expect([made([json]), made(json.split('')), made([json.slice(0, at), json.slice(at)])]).toEqual([whole, whole, whole]);
  }
});

test('what is no JSON becomes none, and is the same however it is cut', () => {
  const pick = numbers(11);
  for (let round = 0; round < 5000; round++) {
    const text = Array.from({ length: 1 + pick(8) }, () => parts[pick(parts.length)]).join('');
    expect(made(text.split(''))).toBe(made([text]));
    if (!isJson(text)) expect(isJson(made([text])), text).toBe(false);
  }
});
