import { expect, test } from 'vitest';
import { cliPage } from './docs.ts';

test('docs/cli.md says what the flag table says (vitest -u writes it)', async () => {
  await expect(cliPage()).toMatchFileSnapshot('../../../docs/cli.md');
});
