import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the example runs and asserts its own results', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL('./main.ts', import.meta.url))]);
  expect(stdout).toContain('the conversation is back: 0 blocks in memory, 4 on disk\n');
  expect(stdout).toContain('16 of 18 tokens need no computing\n');
});
