import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { extract } from './extract.ts';

// Holds the public surface: `main.ts [--update] [package folder…]`, every package by default. Leaves with 1 on a difference.
const { values, positionals } = parseArgs({ options: { update: { type: 'boolean', default: false } }, allowPositionals: true });
const root = join(import.meta.dirname, '..', '..', '..');
const folders =
  positionals.length > 0
    ? positionals.map((folder) => resolve(folder))
    : readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name));

for (const folder of folders) {
  const { name, changed, errors } = extract(folder, values);
  const failed = errors.length > 0 || (changed && !values.update);
  const word = failed ? 'FAILED ' : changed ? 'updated' : 'ok     ';
  console.log(`${word} ${name}`);
  if (changed && !values.update)
    console.log('        the public surface has changed: see `git diff` after `npm run api:update`, and commit the report');
  for (const error of errors) console.log(`        ${error}`);
  if (failed) process.exitCode = 1;
}
