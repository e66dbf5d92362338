import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { countExports, surfaces } from './surface.ts';

const packages = new URL('../../../packages/', import.meta.url);
const reports = readdirSync(packages)
  .map((name) => [name, new URL(`${name}/etc/${name}.api.md`, packages)] as const)
  .filter(([, file]) => existsSync(file));

test('every package has a stated surface', () => {
  expect(readdirSync(packages).filter((name) => surfaces[name] === undefined)).toEqual([]);
});

test.each(reports)('%s stays within its budget', (name, file) => {
  const counted = countExports(readFileSync(file, 'utf8'));
  const budget = surfaces[name]?.budget ?? { values: Infinity, types: Infinity };
  expect(counted.values).toBeGreaterThan(0);
  expect(counted.values, 'exported values').toBeLessThanOrEqual(budget.values);
  expect(counted.types, 'exported types').toBeLessThanOrEqual(budget.types);
});

test('a name counts once, and as a value where it is both', () => {
  const report = [
    'export class A {',
    '    export(): void;',
    '}',
    'export interface A {',
    'export function f(a: string): void;',
    'export function f(a: number): void;',
    'export const c: unique symbol;',
    'export type T = string;',
    'import { B } from "b";',
  ].join('\n');
  expect(countExports(report)).toEqual({ values: 3, types: 1 });
});
