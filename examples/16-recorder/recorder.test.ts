import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the example runs and asserts its own results', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL('./main.ts', import.meta.url))]);
  expect(stdout).toBe('2 events read, 6 blocks held\nworker 9 holds 2 of 4 blocks\nworker 7 holds 4 of 4 blocks\n');
});
