import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { banner } from './banner.ts';

const worker = { type: 'ready', instance: 'a25b', address: '127.0.0.1:4000', endpoint: 'dynamo.backend.generate', pid: 12 } as const;
const text = banner({ address: 'http://0.0.0.0:8000', model: "it's", engine: 'echo', workers: new Map([[0, worker]]), root: '/tmp/x' });

test('it says what runs where', () => {
  expect(text).toContain(`frontend   http://127.0.0.1:8000, listens on 0.0.0.0:8000 (pid ${process.pid})`);
  expect(text).toContain('worker 1   127.0.0.1:4000, echo engine (pid 12, instance a25b)');
  expect(text).toContain('discovery  files in /tmp/x');
});

test('a shell reads the curl line as it was meant', async () => {
  const line = text.split('\n').find((candidate) => candidate.includes('curl')) ?? '';
  const { stdout } = await promisify(execFile)('sh', ['-c', `curl() { for part in "$@"; do printf '%s\\n' "$part"; done; }; ${line}`]);
  const [flag, url, , , , body = ''] = stdout.split('\n');
  expect([flag, url]).toEqual(['-s', 'http://127.0.0.1:8000/v1/chat/completions']);
  expect(JSON.parse(body)).toMatchObject({ model: "it's", messages: [{ role: 'user', content: 'Hello! Every word comes back.' }] });
});
