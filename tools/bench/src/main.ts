import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const usage = `usage: npm run bench -- plane [--python PYTHON] [--seconds 4] [--rounds 3]
       npm run bench -- memory [--model DIR] [--requests 20000]
HTTP figures come from the bench harness: run.py tools/bench/http.json --out DIR (see docs/performance.md).`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string', default: 'python3' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    model: { type: 'string', default: fileURLToPath(new URL('../../cli/model', import.meta.url)) },
    requests: { type: 'string', default: '20000' },
  },
});

if (positionals[0] === 'plane') {
  const { plane } = await import('./plane.ts');
  await plane({ python: values.python, seconds: Number(values.seconds), rounds: Number(values.rounds) });
} else if (positionals[0] === 'memory') {
  const { memory } = await import('./memory.ts');
  await memory({ model: values.model, requests: Number(values.requests) });
} else {
  console.error(usage);
  process.exitCode = 2;
}
