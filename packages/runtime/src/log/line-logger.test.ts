import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { speakingFor } from '../log.ts';
import { fineClock, timestamps } from './clock.ts';
import { lineLogger } from './line-logger.ts';

const samples = readFileSync(new URL('../../../../vectors/lora-recorder-misc/log_samples.txt', import.meta.url), 'utf8');

/** A logger that writes into an array, at the moment of a real line. */
function logger(env: Record<string, string>, moment = '2026-11-23T17:48:50.391Z', micros = 0, isTTY = false) {
  let text = '';
  const stream = { writableLength: 0, write: (more: string) => (text += more), on() {}, off() {}, isTTY };
  const log = lineLogger({ env, stream, clock: () => Date.parse(moment) + micros / 1_000 });
  return { log, lines: () => (log[Symbol.dispose](), text.split('\n').slice(0, -1)) };
}

test('readable lines are those that the real system prints', () => {
  const real = samples.split('\n').filter((line) => /my\.module: msg (info|warn|error) /.test(line));
  const zoned = real.filter((line) => line.includes('+00:00'));
  expect([real.length, zoned.length]).toEqual([4, 1]);
  for (const line of real) {
    const [, moment = '', micros = '', zone = '', level = '', message = ''] = /^(.{23})(\d{3})(Z|\+00:00) +(\w+) my\.module: (.*)$/.exec(line) ?? [];
    const { log, lines } = logger({ ...(zone === 'Z' ? {} : { DYN_LOG_USE_LOCAL_TZ: '1' }) }, `${moment}Z`, Number(micros));
    // The machine of the tests may be anywhere.
    const local = zone === 'Z' ? line : line.replace(/^\S+/, timestamps(true)(Date.parse(`${moment}Z`) + Number(micros) / 1_000));
    speakingFor(log, 'my.module')[level.toLowerCase() as 'info']({}, message);
    expect(lines()).toEqual([local]);
  }
});

test('JSON lines have the members of the real ones, in their order', () => {
  const real = samples.split('\n').filter((line) => line.startsWith('{') && line.includes('"log.target"'));
  expect(real).toHaveLength(4);
  for (const line of real) {
    const { time, level, target, message, ...facts } = JSON.parse(line) as Record<string, string>;
    const { log, lines } = logger({ DYN_LOGGING_JSONL: '1' }, `${String(time).slice(0, 23)}Z`, Number(String(time).slice(23, 26)));
    log.child({ target })[String(level).toLowerCase() as 'info'](facts, String(message));
    expect(lines()).toEqual([line]);
  }
  const inRequest = samples.split('\n').find((line) => line.includes('"span_name":"handle_payload"'));
  const { time, level: _level, target, message, file: _file, line: _line, ...facts } = JSON.parse(inRequest ?? '') as Record<string, string>;
  const { log, lines } = logger({ DYN_LOGGING_CONSOLE_FORMAT: 'jsonl' }, `${String(time).slice(0, 23)}Z`, Number(String(time).slice(23, 26)));
  log.child({ target, ...facts }).info({}, String(message));
  // We do not look up which line of which file speaks.
  expect(lines()).toEqual([inRequest?.replace(/"file":.*?,"line":\d+,/, '')]);
});

test('a line of a span begins with its name and ends with its facts, and colours are those of the real system', () => {
  const facts = { target: 'dynamo_runtime::a', span_name: 'handle_payload', span_id: '1'.repeat(16), component: 'backend', instance_id: 7n };
  const plain = logger({});
  plain.log.child(facts).warn({ error: 'a\nb' }, 'odd');
  expect(plain.lines()).toEqual([
    '2026-11-23T17:48:50.391000Z  WARN handle_payload: dynamo_runtime::a: odd error="a\\nb" component="backend" instance_id=7',
  ]);
  const painted = logger({}, undefined, 0, true);
  painted.log.child({ target: 'my.module' }).info({ port: 1 }, 'up');
  expect(painted.lines()).toEqual([
    '\u001b[2m2026-11-23T17:48:50.391000Z\u001b[0m \u001b[32m INFO\u001b[0m \u001b[2mmy.module\u001b[0m\u001b[2m:\u001b[0m up \u001b[3mport\u001b[0m\u001b[2m=\u001b[0m1',
  ]);
  const quiet = logger({ DYN_SDK_DISABLE_ANSI_LOGGING: '1' }, undefined, 0, true);
  quiet.log.info({}, 'up');
  expect(quiet.lines()).toEqual(['2026-11-23T17:48:50.391000Z  INFO dynamo: up']);
});

test('whatever a fact is, its line is one line, and JSON reads it back', () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  const facts = { id: 18446744073709551615n, circle, made: () => 1, error: new TypeError('x'), left: undefined, text: '\u0000"\n', list: [1n, null] };
  const json = logger({ DYN_LOGGING_JSONL: 'on' });
  json.log.child({ target: 't', id: 1 }).error(facts, 'a\nb');
  const [line = ''] = json.lines();
  expect(line).toContain('"id":18446744073709551615,');
  expect(JSON.parse(line)).toMatchObject({
    level: 'ERROR',
    target: 't',
    message: 'a\nb',
    error: 'TypeError: x',
    text: '\u0000"\n',
    circle: '[object Object]',
  });
  const text = logger({});
  text.log.error(facts, 'a\nb\u001b[31m');
  expect(text.lines()).toHaveLength(1);
  expect(text.lines()[0]).toContain('dynamo: a\\nb\\u001b[31m id=18446744073709551615 ');
});

test('levels and targets say what is written', () => {
  const { log, lines } = logger({ DYN_LOG: 'warn,dynamo_runtime::discovery=debug' });
  const discovery = speakingFor(log, 'dynamo_runtime::discovery::file');
  for (const one of [log, discovery, discovery.child?.({ key: 1 }) ?? log])
    for (const level of ['debug', 'info', 'warn'] as const) one[level]({}, level);
  expect(lines().map((line) => line.split(' ').slice(-3).join(' ').trim())).toEqual([
    'WARN dynamo: warn',
    ...['DEBUG', ' INFO', ' WARN'].map((level) => `${level} dynamo_runtime::discovery::file: ${level.trim().toLowerCase()}`.trim()),
    ...['debug', 'info', 'warn'].map((message) => `dynamo_runtime::discovery::file: ${message} key=1`),
  ]);
});

test('the clock has microseconds and follows the wall', () => {
  const clock = fineClock();
  const moments = Array.from({ length: 1_000 }, () => clock());
  expect(moments).toEqual(moments.toSorted((a, b) => a - b));
  expect(Math.abs(clock() - Date.now())).toBeLessThan(50);
  expect(timestamps(false)(1_795_595_944_993.429)).toBe('2026-11-25T08:39:04.993429Z');
});

const noisy = (after: string): string[] => {
  const module = fileURLToPath(new URL('./line-logger.ts', import.meta.url));
  const script = `import { lineLogger } from ${JSON.stringify(module)};
    const log = lineLogger();
    const before = process.memoryUsage().rss;
    let left = 300;
    const burst = () => {
      for (let at = 0; at < 1_000; at++) log.info({ at, filler: 'x'.repeat(80) }, 'noise');
      if (--left > 0) return setImmediate(burst);
      const grownMb = (process.memoryUsage().rss - before) / 2 ** 20;
      process.stdout.write(JSON.stringify({ grownMb, waiting: process.stderr.writableLength }) + '\\n');
      ${after}
    };
    burst();`;
  return ['--conditions=@dynamo/source', '--input-type=module', '-e', script];
};

test('a reader that does not read costs lines and no memory, and later hears how many', async () => {
  const child = spawn(process.execPath, noisy("setInterval(() => log.info({}, 'still here'), 50);"), { stdio: ['ignore', 'pipe', 'pipe'] });
  const [told] = (await once(child.stdout, 'data')) as [Buffer];
  const { grownMb, waiting } = JSON.parse(told.toString()) as { grownMb: number; waiting: number };
  // 300,000 lines are 45 MB; kept is one.
  expect(grownMb).toBeLessThan(200);
  expect(waiting).toBeLessThanOrEqual(2 ** 20);
  let text = '';
  for await (const chunk of child.stderr.setEncoding('utf8')) {
    text += chunk as string;
    if (text.includes('still here')) break;
  }
  child.kill('SIGKILL');
  const lines = text.split('\n').slice(0, -1);
  const missing = lines.flatMap((line) => /WARN dynamo: log lines were left out: their reader is slow count=(\d+)$/.exec(line)?.[1] ?? []);
  expect(lines.filter((line) => line.includes('noise')).length + missing.map(Number).reduce((a, b) => a + b, 0)).toBe(300_000);
});

test('a reader that has gone is no reason to die', async () => {
  const child = spawn(process.execPath, noisy('setTimeout(() => process.exit(7), 100);'), { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.resume();
  child.stderr.destroy();
  expect(await once(child, 'close')).toEqual([7, null]);
});

test('the last lines of a process are not lost', async () => {
  const module = fileURLToPath(new URL('./line-logger.ts', import.meta.url));
  const script = `import { lineLogger } from ${JSON.stringify(module)}; lineLogger().error({}, 'last words'); process.exit(3);`;
  const failed = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]).catch((error: unknown) => error);
  expect(await failed).toMatchObject({ code: 3, stderr: expect.stringContaining('ERROR dynamo: last words') });
});
