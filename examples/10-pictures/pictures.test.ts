import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the example runs and asserts its own results', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--conditions=@dynamo/source',
    fileURLToPath(new URL('./main.ts', import.meta.url)),
  ]);
  expect(stdout).toBe('2×3×3 Rgb8 9907de251781f39e\ninside: refused, asked 0 times\ninside, allowed: the same picture\nat the worker: 18 bytes\n');
});
