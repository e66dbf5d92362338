import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { decodeAgentMetadata, encodeAgentMetadata } from '../../wire/agent-metadata.ts';
import { decodeRdmaMetadata, encodeRdmaMetadata, type RdmaMetadata } from '../../wire/rdma-metadata.ts';
import { Connector } from '../connector.ts';
import { Descriptor } from '../descriptor.ts';
import { transferContract } from '../transfer.contract.ts';
import { encodeFrame, maxHeader } from './frame.ts';

transferContract('tcp');

const size = 64 * 1024 * 1024;
const peers: ChildProcess[] = [];
afterEach(() => {
  for (const peer of peers.splice(0)) peer.kill('SIGKILL');
});

/** Another process; it sends one message when it is where the test wants it. */
async function peer(task: string, metadata = ''): Promise<{ child: ChildProcess; message: string }> {
  const child = fork(new URL('../testing/peer.ts', import.meta.url), [task, metadata], {
    execArgv: ['--conditions=@dynamo/source'],
    serialization: 'advanced',
  });
  peers.push(child);
  const [message] = (await once(child, 'message')) as [string];
  return { child, message };
}

const address = (metadata: RdmaMetadata): { host: string; port: number; token: string } =>
  JSON.parse(Buffer.from(decodeAgentMetadata(metadata.agent).bytes).toString());

const elsewhere = (metadata: RdmaMetadata, change: object): RdmaMetadata => ({
  ...metadata,
  agent: encodeAgentMetadata({ scheme: 'tcp', bytes: Buffer.from(JSON.stringify({ v: 1, name: 'x', ...address(metadata), ...change })) }),
});

test('bytes cross from another process', async () => {
  const { message } = await peer('share');
  await using connector = new Connector();
  const into = new Uint8Array(1000);
  using read = connector.beginRead(decodeRdmaMetadata(message), new Descriptor(into));
  await read.wait();
  expect(into.every((byte, at) => byte === at % 251)).toBe(true);
});

test('the owner is killed in the middle of a read: a typed error here', async () => {
  const { child, message } = await peer('share-slowly');
  await using connector = new Connector();
  using read = connector.beginRead(decodeRdmaMetadata(message), new Descriptor(new Uint8Array(size)));
  child.once('message', () => child.kill('SIGKILL'));
  await expect(read.wait()).rejects.toMatchObject({ code: 'disconnected' });
  expect(read.status).toBe('errored');
});

test('the writer is killed in the middle of a write: a typed error here', async () => {
  await using connector = new Connector();
  using writable = await connector.createWritable(new Descriptor(new Uint8Array(size)));
  const { child } = await peer('write-half', encodeRdmaMetadata(writable.metadata));
  child.kill('SIGKILL');
  await expect(writable.wait()).rejects.toMatchObject({ code: 'disconnected' });
  expect(writable.status).toBe('errored');
});

test('a wrong token moves nothing', async () => {
  await using owner = new Connector();
  await using connector = new Connector();
  const memory = new Uint8Array(8);
  using writable = await owner.createWritable(new Descriptor(memory));
  for (const token of ['', 'f'.repeat(64), address(writable.metadata).token.slice(1)]) {
    using write = connector.beginWrite(new Descriptor(Uint8Array.from({ length: 8 }, () => 9)), elsewhere(writable.metadata, { token }));
    await expect(write.wait()).rejects.toMatchObject({ code: 'unauthenticated' });
  }
  expect([...memory]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  expect(writable.status).toBe('initialized');
});

test('nobody at the address, and an address that is none', async () => {
  await using connector = new Connector();
  using own = await connector.createReadable(new Descriptor(new Uint8Array(4)));
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  using read = connector.beginRead(elsewhere(own.metadata, { port }), new Descriptor(new Uint8Array(4)));
  await expect(read.wait()).rejects.toMatchObject({ code: 'cannot_connect' });
  using strange = connector.beginRead(elsewhere(own.metadata, { port: 70_000 }), new Descriptor(new Uint8Array(4)));
  await expect(strange.wait()).rejects.toMatchObject({ code: 'invalid_argument' });
});

/** A peer that answers every connection with what the test says. */
async function scripted(answer: (socket: Socket) => void): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    answer(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test.each<[string, (socket: Socket) => void, string]>([
  ['says nothing', () => {}, 'response_timeout'],
  ['sends no frames', (socket) => void socket.write('HTTP/1.1 200 OK\r\n\r\n'), 'backend_protocol'],
  ['sends an endless header', (socket) => void socket.write(Buffer.from([255, 255, 255, 127])), 'backend_protocol'],
  ['sends a header that is not JSON', (socket) => void socket.write(Buffer.from([2, 0, 0, 0, 123, 123])), 'backend_protocol'],
  ['answers a read like a write', (socket) => void socket.write(encodeFrame({ op: 'go' })), 'backend_protocol'],
  ['sends half of the bytes and ends', (socket) => void socket.end(Buffer.concat([encodeFrame({ op: 'data' }), Buffer.alloc(2)])), 'disconnected'],
  ['fails in words of its own', (socket) => void socket.write(encodeFrame({ op: 'err', code: 'made_up' as 'unknown', message: 'no' })), 'unknown'],
])('a peer that %s', async (_what, answer, code) => {
  const stranger = await scripted(answer);
  await using connector = new Connector({ idleMs: 100 });
  using own = await connector.createReadable(new Descriptor(new Uint8Array(4)));
  using read = connector.beginRead(elsewhere(own.metadata, { port: stranger.port }), new Descriptor(new Uint8Array(4)));
  await expect(read.wait()).rejects.toMatchObject({ code });
  stranger.close();
});

test('an owner survives everything that a stranger can send', async () => {
  await using owner = new Connector({ idleMs: 10_000 });
  using readable = await owner.createReadable(new Descriptor(Uint8Array.of(1, 2, 3, 4)));
  const { port, token } = address(readable.metadata);
  const [shared] = readable.metadata.descriptors;
  const region = { ptr: shared?.ptr as bigint, size: 4 };
  const over = Buffer.alloc(4);
  over.writeUInt32LE(maxHeader + 1);
  const requests = [
    over,
    Buffer.alloc(100),
    Buffer.from([1, 0, 0, 0, 49]),
    encodeFrame({ op: 'done' }),
    encodeFrame({ op: 'data' }),
    encodeFrame({ op: 'read', token, notif: 'x', regions: [] }),
    encodeFrame({ op: 'read', token, notif: 'x', regions: [{ ptr: region.ptr + 1n, size: 4 }] }),
    encodeFrame({ op: 'read', token, notif: 'x', regions: [{ ...region, size: 5 }] }),
    encodeFrame({ op: 'write', token, notif: 'x', regions: [region] }),
    encodeFrame({ op: 'read', token, notif: 'x', regions: Array.from({ length: 4097 }, () => region) }),
    Buffer.concat([
      encodeFrame({ op: 'read', token, notif: 'x', regions: [region] }),
      encodeFrame({ op: 'read', token, notif: 'x', regions: [region] }),
    ]),
  ];
  for (const request of requests) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    socket.write(request);
    let answer = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) answer = Buffer.concat([answer, chunk]);
    expect(answer.toString()).toContain('"op":"err"');
  }
  expect(readable.status).toBe('initialized');
  await using reader = new Connector();
  const into = new Uint8Array(4);
  using read = reader.beginRead(readable.metadata, new Descriptor(into));
  await read.wait();
  expect([...into]).toEqual([1, 2, 3, 4]);
});
