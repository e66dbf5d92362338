import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the example runs and asserts its own results', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL('./main.ts', import.meta.url))]);
  expect(stdout).toBe('as the model likes: 2 2 2\nwithout repeats:    2 1 0\nforced:             1 0 3\n');
});
