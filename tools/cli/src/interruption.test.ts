import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';

const script = `
const { watchInterruption } = await import(${JSON.stringify(new URL('./interruption.ts', import.meta.url).href)});
const interruption = watchInterruption();
const alive = setInterval(() => {}, 1000);
process.once('SIGUSR2', () => { clearInterval(alive); interruption[Symbol.dispose](); });
console.log('up');
console.log(await interruption.asked, interruption.signal.aborted);
`;

function start() {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.setEncoding('utf8');
  return { child, line: async (): Promise<string> => String((await once(child.stdout, 'data'))[0]) };
}

test.each(['SIGINT', 'SIGTERM'] as const)('%s asks once, also when it arrives several times', async (signal) => {
  const { child, line } = start();
  expect(await line()).toBe('up\n');
  child.kill(signal);
  child.kill(signal);
  expect(await line()).toBe(`${signal} true\n`);
  child.kill('SIGUSR2');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('a second signal later ends the process at once', async () => {
  const { child, line } = start();
  await line();
  child.kill('SIGINT');
  await line();
  await sleep(700);
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([130, null]);
});
