import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const usage = `usage: npm run bench -- plane [--python PYTHON] [--planes tcp,nats] [--seconds 4] [--rounds 3]   request planes beside the real ones
       npm run bench -- event-planes [--python PYTHON] [--planes zmq,nats] [--count 50000]      event planes beside the real ones
       npm run bench -- metrics [--python PYTHON] [--updates 5000000]          one update of a metric
       npm run bench -- memory [--calls 20000]                                  heap over many calls
       npm run bench -- soak [--calls 1000000]                                  what a million calls leave behind
       npm run bench -- events [--planes zmq,mem] [--count 200000] [--bytes 300]   events a second, one process
       npm run bench -- kv-router [--calls 2000] [--seconds 4]                 decisions, publishers, and a router under full event load
       npm run bench -- kv-growth                                              the index from 1 to 16 million blocks, 8 to 512 workers
       npm run bench -- receipts [--count 2000]                                what a route receipt costs a decision
       npm run bench -- parsers [--count 400000]                               what reading tool calls and thoughts costs a chunk
       npm run bench -- http-memory [--requests 20000] [--model FOLDER]         heap over many chat requests
       npm run bench -- http-kinds [--requests 100000]                          heap over requests of every kind, good and bad
       npm run bench -- transfer [--rounds 5]                                   bytes between two processes beside a bare socket
       npm run bench -- media [--rounds 15]                                     decoding pictures beside the library alone
       npm run bench -- blocks [--rounds 5]                                     KV blocks in memory and on disk beside plain copies
       npm run bench -- replay [--python PYTHON] [--rounds 3]                   simulated requests a second beside the real replay
A plane of NATS needs a nats-server at NATS_SERVER. The memory lanes need NODE_OPTIONS=--expose-gc. The HTTP lanes are a configuration of the shared harness: tools/bench/http.json.`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string', default: 'python3' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    planes: { type: 'string' },
    count: { type: 'string' },
    bytes: { type: 'string', default: '300' },
    calls: { type: 'string' },
    updates: { type: 'string', default: '5000000' },
    requests: { type: 'string', default: '20000' },
    model: { type: 'string', default: fileURLToPath(new URL('../../../vectors/llm/model-tiny', import.meta.url)) },
  },
});

if (positionals[0] === 'plane') {
  const { plane } = await import('./plane.ts');
  await plane({ python: values.python, planes: (values.planes ?? 'tcp').split(','), seconds: Number(values.seconds), rounds: Number(values.rounds) });
} else if (positionals[0] === 'event-planes') {
  const { eventPlanes } = await import('./event-planes.ts');
  const planes = (values.planes ?? 'zmq').split(',');
  await eventPlanes({ python: values.python, planes, count: Number(values.count ?? '50000'), rounds: Number(values.rounds) });
} else if (positionals[0] === 'metrics') {
  const { metrics } = await import('./metrics.ts');
  metrics({ python: values.python, updates: Number(values.updates) });
} else if (positionals[0] === 'memory') {
  const { memory } = await import('./memory.ts');
  await memory({ calls: Number(values.calls ?? '20000') });
} else if (positionals[0] === 'soak') {
  const { soak } = await import('./soak.ts');
  await soak({ calls: Number(values.calls ?? '1000000'), parts: 10 });
} else if (positionals[0] === 'events') {
  const { events } = await import('./events.ts');
  await events({ planes: (values.planes ?? 'zmq,mem').split(','), count: Number(values.count ?? '200000'), bytes: Number(values.bytes) });
} else if (positionals[0] === 'kv-router') {
  const { decisions, publisher, underEvents } = await import('./kv-router.ts');
  await decisions({ calls: Number(values.calls ?? '2000') });
  await publisher({ events: 20_000 });
  for (const workers of [1, 8]) await underEvents({ workers, seconds: Number(values.seconds) });
} else if (positionals[0] === 'transfer') {
  const { transfer } = await import('./transfer.ts');
  await transfer({ rounds: Number(values.rounds) });
} else if (positionals[0] === 'media') {
  const { media } = await import('./media.ts');
  await media({ rounds: Number(values.rounds) });
} else if (positionals[0] === 'kv-growth') {
  const { kvGrowth } = await import('./kv-growth.ts');
  kvGrowth({ sizes: [1, 2, 4, 8, 16].map((millions) => millions * 1_000_000), workers: [8, 512] });
} else if (positionals[0] === 'blocks') {
  const { blockTiers } = await import('./blocks.ts');
  await blockTiers({ rounds: Number(values.rounds) });
} else if (positionals[0] === 'receipts') {
  const { receipts } = await import('./receipts.ts');
  receipts({ decisions: Number(values.count ?? '2000') });
} else if (positionals[0] === 'parsers') {
  const { parsers } = await import('./parsers.ts');
  parsers({ chunks: Number(values.count ?? '400000') });
} else if (positionals[0] === 'http-memory') {
  const { httpMemory } = await import('./http-memory.ts');
  await httpMemory({ model: values.model, requests: Number(values.requests) });
} else if (positionals[0] === 'replay') {
  const { replay } = await import('./replay.ts');
  await replay({ python: values.python, rounds: Number(values.rounds) });
} else if (positionals[0] === 'http-kinds') {
  const { httpKinds } = await import('./http-kinds.ts');
  await httpKinds({ model: values.model, requests: Number(values.requests) });
} else {
  console.error(usage);
  process.exitCode = 2;
}
