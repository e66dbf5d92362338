import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkReports } from './report-files.ts';
import { UsageError } from './usage.ts';

test('a report has a place before the work begins, or the flag is named', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'dynamo-reports-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await checkReports({ '--report-json': join(folder, 'new.json'), '--report-html': undefined });
  await expect(checkReports({ '--report-json': folder })).rejects.toEqual(
    new UsageError(`--report-json '${folder}' can't be written: it is a folder`),
  );
  await expect(checkReports({ '--report-html': join(folder, 'none', 'x.html') })).rejects.toThrow(
    /^--report-html '.*x\.html' can't be written: ENOENT/,
  );
});
