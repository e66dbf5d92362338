import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { decodeRdmaMetadata, encodeRdmaMetadata } from '../../wire/rdma-metadata.ts';
import { encodeAgentMetadata } from '../../wire/agent-metadata.ts';
import { Connector } from '../connector.ts';
import { Descriptor } from '../descriptor.ts';
import { transferContract } from '../transfer.contract.ts';

transferContract('shared-memory');

test('threads of one process reach each other', async () => {
  await using owner = new Connector({ transfer: 'shared-memory' });
  const memory = new Uint8Array(new SharedArrayBuffer(5));
  using writable = await owner.createWritable(new Descriptor(memory));
  const worker = new Worker(
    `import { workerData } from 'node:worker_threads';
     import { Connector, Descriptor, decodeRdmaMetadata } from ${JSON.stringify(new URL('../../internal.ts', import.meta.url).href)};
     const peer = new Connector({ transfer: 'shared-memory' });
     await peer.beginWrite(new Descriptor(Uint8Array.of(1, 2, 3, 4, 5)), decodeRdmaMetadata(workerData)).wait();
     await peer[Symbol.asyncDispose]();`,
    { eval: true, workerData: encodeRdmaMetadata(writable.metadata), execArgv: ['--input-type=module', '--conditions=@dynamo/source'] },
  );
  await Promise.all([writable.wait(), new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))]);
  expect([...memory]).toEqual([1, 2, 3, 4, 5]);
});

test('an agent of another process is refused by name', async () => {
  await using connector = new Connector({ transfer: 'shared-memory' });
  using own = await connector.createReadable(new Descriptor(new Uint8Array(4)));
  const bytes = Buffer.from(JSON.stringify({ v: 1, name: 'x', pid: process.pid + 1, agent: 'elsewhere' }));
  const metadata = { ...decodeRdmaMetadata(encodeRdmaMetadata(own.metadata)), agent: encodeAgentMetadata({ scheme: 'shared-memory', bytes }) };
  using read = connector.beginRead(metadata, new Descriptor(new Uint8Array(4)));
  await expect(read.wait()).rejects.toMatchObject({ code: 'cannot_connect' });
});

test('an agent that never answers ends with the limit on silence', async () => {
  await using connector = new Connector({ transfer: 'shared-memory', idleMs: 50 });
  using own = await connector.createReadable(new Descriptor(new Uint8Array(4)));
  const bytes = Buffer.from(JSON.stringify({ v: 1, name: 'x', pid: process.pid, agent: 'nobody' }));
  const metadata = { ...decodeRdmaMetadata(encodeRdmaMetadata(own.metadata)), agent: encodeAgentMetadata({ scheme: 'shared-memory', bytes }) };
  using read = connector.beginRead(metadata, new Descriptor(new Uint8Array(4)));
  await expect(read.wait()).rejects.toMatchObject({ code: 'response_timeout' });
});
