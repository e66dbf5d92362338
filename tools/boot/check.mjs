// Every static check, one line each; leaves with 1 when one of them has found something.
import { spawnSync } from 'node:child_process';

const checks = [
  ['format', 'oxfmt', ['--check', 'packages', 'tools', 'test', 'examples']],
  ['lint', 'oxlint', ['--type-aware', 'packages', 'tools', 'test', 'examples']],
  ['types', 'tsc', ['-b']],
];
let failed = 0;
for (const [name, command, args] of checks) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name}`);
  if (status !== 0) {
    failed++;
    console.log(stdout, stderr);
  }
}
process.exitCode = failed === 0 ? 0 : 1;
