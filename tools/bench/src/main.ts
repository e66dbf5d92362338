import { parseArgs } from 'node:util';

const usage =
  'usage: npm run bench -- plane [--python PYTHON] [--seconds 4] [--rounds 3]\n       NODE_OPTIONS=--expose-gc npm run bench -- memory [--calls 20000]';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string', default: 'python3' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    calls: { type: 'string', default: '20000' },
  },
});

if (positionals[0] === 'plane') {
  const { plane } = await import('./plane.ts');
  await plane({ python: values.python, seconds: Number(values.seconds), rounds: Number(values.rounds) });
} else if (positionals[0] === 'memory') {
  const { memory } = await import('./memory.ts');
  await memory({ calls: Number(values.calls) });
} else {
  console.error(usage);
  process.exitCode = 2;
}
