import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { beforeAll, beforeEach, type RunnerTask } from 'vitest';

/**
 * Tests that are known to fail, as `file > suite > test`. The list may only shrink: a listed test that passes fails the
 * run, and so does a name that no test has any more. Each listed failure is told in the output.
 */
const list = process.env['INTEROP_EXPECTED_FAILURES'] ?? new URL('./expected-failures.json', import.meta.url);
const names = new Set(JSON.parse(readFileSync(list, 'utf8')) as string[]);

function nameOf(task: RunnerTask): string {
  const suites: string[] = [];
  for (let suite = task.suite; suite !== undefined && suite.id !== task.file.id; suite = suite.suite) suites.unshift(suite.name);
  return [basename(task.file.filepath), ...suites, task.name].join(' > ');
}

const testsOf = (task: RunnerTask): RunnerTask[] => (task.type === 'test' ? [task] : task.tasks.flatMap(testsOf));

beforeAll(({}, suite) => {
  const file = basename(suite.file.filepath);
  const there = new Set(testsOf(suite.file).map(nameOf));
  const stale = [...names].filter((name) => name.startsWith(`${file} > `) && !there.has(name));
  if (stale.length > 0) throw new Error(`expected-failures.json names tests that do not exist: ${stale.join(', ')}`);
});

beforeEach(({ task, onTestFinished }) => {
  const name = nameOf(task);
  if (!names.has(name)) return;
  // What the runner makes of `test.fails`: a pass becomes a failure and the other way round.
  Object.assign(task, { fails: true });
  onTestFinished(() => {
    const [error] = task.result?.errors ?? [];
    console.warn(error === undefined ? `passes although it is listed: ${name}` : `expected failure: ${name}: ${error.message}`);
  });
});
