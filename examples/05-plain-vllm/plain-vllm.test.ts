import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the example runs and asserts its own results', async () => {
  const { VLLM_URLS: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL('./main.ts', import.meta.url))], { env });
  expect(stdout).toBe('model stand-in of 2 servers: second turns found their first ones in the cache: true\n');
});
