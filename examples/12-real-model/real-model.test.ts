import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const run = (env: NodeJS.ProcessEnv): Promise<{ stdout: string }> => promisify(execFile)(process.execPath, [here('./main.ts')], { env });

test('without a model it says where to get one', async () => {
  await expect(run({ ...process.env, GGUF_FILE: here('./none.gguf') })).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('none.gguf: run'),
  });
});

// What makes a model and its library be there is test/interop/make-llama.sh.
test.skipIf(!existsSync(here('../../test/interop/.llama/.complete')))(
  'it answers, and the second turn finds the first one',
  async () => {
    const { GGUF_FILE: _, ...env } = process.env;
    const [first = '', second = ''] = (await run(env)).stdout.split('\n');
    expect(first).toMatch(/^What is 2 \+ 2\? .*4.* \(0 of \d+ tokens were cached\)$/);
    const [cached = 0, prompt = 0] = /\((\d+) of (\d+)/.exec(second)?.slice(1).map(Number) ?? [];
    expect(cached).toBeGreaterThan(prompt / 2);
  },
  120_000,
);
