import { expect, test } from 'vitest';
import { lineLogger } from './log.ts';

test('one line an event: level, process, sentence, facts', () => {
  const lines: string[] = [];
  const log = lineLogger('info', (line) => lines.push(line));
  log.info({ instance: 11684015588889706191n, model: 'a\nb', left: undefined }, 'worker left');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z INFO {2}\d+ worker left /);
  expect(lines[0]).toContain(` ${process.pid} worker left instance="11684015588889706191" model="a\\nb"\n`);
});

test('the level says what is written', () => {
  const lines: string[] = [];
  for (const level of ['off', 'warn', 'debug'] as const) {
    const log = lineLogger(level, (line) => lines.push(`${level}: ${line.split(' ')[1]}`));
    log.debug({}, 'd');
    log.info({}, 'i');
    log.warn({}, 'w');
    log.error({}, 'e');
  }
  expect(lines).toEqual(['warn: WARN', 'warn: ERROR', 'debug: DEBUG', 'debug: INFO', 'debug: WARN', 'debug: ERROR']);
});

test('a fact that JSON cannot say is said as text', () => {
  const lines: string[] = [];
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  lineLogger('info', (line) => lines.push(line)).warn({ circle, made: () => 1 }, 'odd');
  expect(lines[0]).toContain('odd circle="[object Object]" made=() => 1');
});
