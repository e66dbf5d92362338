import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the example runs and asserts its own results', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL('./main.ts', import.meta.url))]);
  expect(stdout).toContain('requests_total{dynamo_namespace="demo",route="chat"} 3\n');
  expect(stdout).toContain('queue_depth{dynamo_namespace="demo"} 7\n');
});
