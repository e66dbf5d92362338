import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filterOf, levels, parseFilter } from './filter.ts';

const of = (text: string, target: string): string | undefined => levels[parseFilter(text)(target)];

// Each row was seen on a running 1.6.1.
test.each([
  ['info', 'dynamo_runtime::worker', 'info'],
  ['INFO', 'dynamo_runtime::worker', 'info'],
  ['2', 'any', 'warn'],
  ['off', 'any', 'off'],
  ['bogus', 'any', 'off'],
  ['bogus', 'bogus::part', 'trace'],
  ['dynamo_runtime::distributed', 'dynamo_runtime::distributed', 'trace'],
  ['dynamo_runtime::worker=debug', 'dynamo_runtime::worker', 'debug'],
  ['dynamo_runtime::worker=debug', 'dynamo_runtime::distributed', 'off'],
  ['warn,dynamo=info', 'dynamo_runtime::worker', 'info'],
  ['trace,dynamo_runtime=error', '_core::engine', 'trace'],
  ['trace,dynamo_runtime=error', 'dynamo_runtime::worker', 'error'],
  ['warn,dynamo_runtime::distributed=info', 'dynamo_runtime::worker', 'warn'],
  ['warn, dynamo_runtime=off , dynamo_runtime::discovery=debug', 'dynamo_runtime::discovery::file', 'debug'],
  ['info,dynamo_runtime=loud', 'dynamo_runtime::worker', 'info'],
])('%s lets %s pass up to %s', (text, target, level) => expect(of(text, target)).toBe(level));

test('the variable wins over the file, the file over the default', () => {
  const folder = mkdtempSync(join(tmpdir(), 'log-filter-'));
  const path = join(folder, 'logging.toml');
  writeFileSync(path, 'log_level = "warn" # quiet\n\n[log_filters]\n"my.module" = "debug"\ndynamo_runtime = \'error\'\n\n[other]\nx = "trace"\n');
  const level = (env: Record<string, string>, target: string): string | undefined => levels[filterOf(env)(target)];
  const env = { DYN_LOGGING_CONFIG_PATH: path };
  expect(['my.module', 'dynamo_runtime::a', 'x', 'else'].map((target) => level(env, target))).toEqual(['debug', 'error', 'warn', 'warn']);
  expect(level({ ...env, DYN_LOG: 'trace' }, 'else')).toBe('trace');
  expect(level({ DYN_LOGGING_CONFIG_PATH: join(folder, 'none.toml'), DYN_LOG: '' }, 'else')).toBe('info');
  rmSync(folder, { recursive: true });
});
