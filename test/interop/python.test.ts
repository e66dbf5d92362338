import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort, startFrontend } from './python.ts';

/** A stand-in for Python that does what the shell says. */
async function impostor(script: string): Promise<{ path: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'dynamo-interop-'));
  const path = join(folder, 'python');
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

test('a frontend that ends at once is told with the end of its log', async () => {
  await using python = await impostor('echo starting; echo "no such option" >&2; exit 3');
  const starting = startFrontend(python.path, { port: await freePort(), env: {} });
  await expect(starting).rejects.toThrow(/the real frontend ended with 3; the end of its log:\n(starting\nno such option|no such option\nstarting)/);
});

test('a frontend that never answers is stopped and told with the end of its log', async () => {
  await using python = await impostor('echo waiting for nothing; exec sleep 60');
  const starting = startFrontend(python.path, { port: await freePort(), env: {}, limitMs: 300 });
  await expect(starting).rejects.toThrow(/did not answer http:\/\/127.0.0.1:\d+\/live within 300 ms; the end of its log:\nwaiting for nothing/);
});

test('a Python that is not there is told', async () => {
  await expect(startFrontend('/nonexistent/python', { port: await freePort(), env: {} })).rejects.toThrow('could not be started');
});
