import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const setup = fileURLToPath(new URL('./expected-failures.ts', import.meta.url));

/** Runs two tests, one that passes and one that fails, under a list of expected failures. */
async function run(list: readonly string[]): Promise<{ status: number | null; text: string }> {
  // Beside the packages, so that vitest can be imported.
  const folder = await mkdtemp(join(root, 'node_modules', '.expected-'));
  try {
    const names = join(folder, 'list.json');
    await writeFile(names, JSON.stringify(list));
    await writeFile(
      join(folder, 'vitest.config.ts'),
      `export default { test: { include: ['*.check.ts'], setupFiles: [${JSON.stringify(setup)}] } };`,
    );
    await writeFile(
      join(folder, 'two.check.ts'),
      `import { describe, expect, test } from 'vitest';
      describe('suite', () => test('fails', () => expect(1).toBe(2)));
      test('passes', () => expect(1).toBe(1));`,
    );
    const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
    const env = { ...process.env, INTEROP_EXPECTED_FAILURES: names, NO_COLOR: '1' };
    const ran = spawnSync(process.execPath, [vitest, 'run', '--root', folder], { encoding: 'utf8', env });
    return { status: ran.status, text: `${ran.stdout}${ran.stderr}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('a failure that is listed is told and fails nothing', async () => {
  const { status, text } = await run(['two.check.ts > suite > fails']);
  expect(text).toContain('expected failure: two.check.ts > suite > fails: expected 1 to be 2');
  expect(status).toBe(0);
});

test('a failure that is not listed fails the run', async () => {
  expect((await run([])).status).toBe(1);
});

test('a listed test that passes fails the run', async () => {
  const { status, text } = await run(['two.check.ts > suite > fails', 'two.check.ts > passes']);
  expect(text).toContain('passes although it is listed: two.check.ts > passes');
  expect(status).toBe(1);
});

test('a name that no test has fails the run', async () => {
  const { status, text } = await run(['two.check.ts > suite > fails', 'two.check.ts > gone', 'other.test.ts > not run here']);
  expect(text).toContain('names tests that do not exist: two.check.ts > gone');
  expect(status).toBe(1);
});
