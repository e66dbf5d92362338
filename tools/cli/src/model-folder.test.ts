import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startHub } from '../../../packages/llm/src/hub/testing/hub-server.ts';
import { bundledModel, progressLine } from './model-folder.ts';
import { dynamo } from './testing/command.ts';
import { freePort, start } from './testing/running.ts';

test('serve fetches a model that it is given by name, and serves it under that name, with a chat template of its own', async () => {
  await using stack = new AsyncDisposableStack();
  const home = await mkdtemp(join(tmpdir(), 'dynamo-hub-'));
  stack.defer(() => rm(home, { recursive: true, force: true }));
  const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json'];
  const files = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(bundledModel, name))] as const)));
  const hub = stack.use(await startHub({ 'org/tiny': { sha: 'a'.repeat(40), files } }));
  const env = { HF_ENDPOINT: hub.url, HF_HOME: home, DYN_LOG: 'warn' };
  const template = join(home, 'own.jinja');
  await writeFile(template, '<user>{{ messages[-1].content }}</user>!');
  const args = [
    '--model-path',
    'org/tiny',
    '--custom-jinja-template',
    template,
    '--delay-ms',
    '0',
    '--workers',
    '1',
    '--http-host',
    '127.0.0.1',
    '--http-port',
    String(await freePort()),
  ];
  const { child, output, ended } = await start(['serve', ...args], env);
  stack.defer(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  expect(output()).toMatch(/org\/tiny: [\d.]+ of [\d.]+ MB\n/);
  await expect.poll(output, { timeout: 30_000 }).toContain("Ask model 'org/tiny'");
  const [url = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(output()) ?? [];
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'org/tiny',
      stream: true,
      messages: [{ role: 'user', content: 'x' }],
      nvext: { annotations: ['formatted_prompt'] },
    }),
  });
  expect(await answer.text()).toContain(': "<user>x</user>!"');
});

test('what the hub does not have ends in one line and exit code 2', async () => {
  await using hub = await startHub({});
  const { code, stdout, stderr } = await dynamo(['worker', '--model-path', 'org/nobody'], { env: { HF_ENDPOINT: hub.url, HF_HOME: '/nowhere' } });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toBe("dynamo: 'org/nobody@main' does not exist, or is private: set HF_TOKEN (Repository not found)\n");
});

test('a terminal sees one line that is written again, a few times a second; a pipe one line at the end', () => {
  const written = (isTTY: boolean): string => {
    let text = '';
    let at = 0;
    const line = progressLine('m', { isTTY, write: (more) => ((text += String(more)), true) }, () => (at += 90));
    for (let receivedBytes = 0; receivedBytes <= 5e6; receivedBytes += 1e6) line.report({ receivedBytes, totalBytes: 5e6 });
    line.end();
    return text;
  };
  expect(written(true).split('\r').slice(1)).toEqual([
    'dynamo: m: 0.0 of 5.0 MB',
    'dynamo: m: 3.0 of 5.0 MB',
    'dynamo: m: 5.0 of 5.0 MB',
    'dynamo: m: 5.0 of 5.0 MB\n',
  ]);
  expect(written(false)).toBe('dynamo: m: 5.0 of 5.0 MB\n');
});
