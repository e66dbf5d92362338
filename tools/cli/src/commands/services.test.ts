import { expect, test } from 'vitest';
import { dynamo } from '../testing/command.ts';
import { start } from '../testing/running.ts';

test.each([
  ['slot-tracker', 'slot tracker', '/workers', '[]'],
  ['indexer', 'KV cache indexer', '/peers', '[]'],
  ['select-service', 'selection service', '/health', '{"status":"ok"}'],
])('dynamo %s answers over HTTP until it is asked to end', async (command, name, path, answer) => {
  const { child, ended, output } = await start([command, '--host', '127.0.0.1', '--port', '0'], {});
  const address = new RegExp(`^Dynamo ${name} answers at (http://127\\.0\\.0\\.1:\\d+)\\.\n`).exec(output())?.[1];
  expect(await (await fetch(`${address}${path}`)).text()).toBe(answer);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});

test.each([
  [['indexer', '--workers', '1=tcp://127.0.0.1:1'], '--block-size is missing: the engines of --workers need one'],
  [['indexer', '--block-size', '16', '--workers', 'one=tcp://127.0.0.1:1'], "--workers 'one=tcp://127.0.0.1:1': expected ID[:RANK]=ADDRESS"],
  [
    ['indexer', '--block-size', '16', '--workers', '1=tcp://127.0.0.1:1', '--replay-endpoints', '2=tcp://127.0.0.1:2'],
    '--replay-endpoints names 2:0, which --workers does not',
  ],
  [['slot-tracker', '--replica-sync-peers', 'bogus', '--port', '0'], 'invalid ZMQ endpoint `bogus`: missing scheme'],
])('%j is refused in one line', async (args, line) => {
  const { code, stdout, stderr } = await dynamo(args);
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: `dynamo: ${line}\n` });
});

test('an indexer with engines from the command line lists them', async () => {
  const engines = ['--workers', '7=tcp://127.0.0.1:1,7:1=tcp://127.0.0.1:2', '--replay-endpoints', '7:1=tcp://127.0.0.1:3'];
  const { child, ended, output } = await start(['indexer', '--host', '127.0.0.1', '--port', '0', '--block-size', '16', ...engines], {});
  const address = /http:\S+\d/.exec(output())?.[0];
  const workers = (await (await fetch(`${address}/workers`)).json()) as { instance_id: number; endpoints: unknown }[];
  expect(workers).toMatchObject([{ instance_id: 7, model_name: 'default', endpoints: { 0: 'tcp://127.0.0.1:1', 1: 'tcp://127.0.0.1:2' } }]);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});
