// Every static check, one line each; leaves with 1 when one of them has found something. Words pick checks by name.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';

const folders = ['packages', 'tools', 'test', 'examples'];
const built = [
  ['format', 'oxfmt', ['--check', ...folders]],
  ['lint', 'oxlint', ['--type-aware', '--quiet', ...folders]],
  ['types of tests', 'tsc', ['-p', 'tsconfig.test.json']],
  ['boundaries', 'node', ['tools/boundaries/src/main.ts']],
  ['surface', 'node', ['tools/api/src/main.ts']],
  ['packages', 'node', ['tools/api/src/pack.ts']],
  ['dead code', 'knip', ['--no-progress', '--no-config-hints']],
];
const words = process.argv.slice(2);
const chosen = built.filter(([name]) => words.length === 0 || words.includes(name));

/** Runs one check and prints its line, with what it said only when it failed. */
function run([name, command, args]) {
  const started = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  return new Promise((resolve) => {
    const end = (code) => {
      console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
      if (code !== 0) console.log(said.trimEnd());
      resolve(code === 0);
    };
    child.once('error', (error) => {
      said += String(error);
      end(1);
    });
    child.once('close', end);
  });
}

// The surface and the packages are judged by what the compiler has written.
let good = await run(['types', 'tsc', ['-b']]);
const next = chosen.values();
const worker = async () => {
  for (const check of next) good = (await run(check)) && good;
};
await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker));
process.exitCode = good ? 0 : 1;
