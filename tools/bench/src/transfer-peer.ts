import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { Connector, Descriptor, encodeRdmaMetadata } from '@dynamo/multimodal/internal';
import type { Offered } from './transfer.ts';

const memory = new Uint8Array(Number(process.argv[2]));
const connector = new Connector();
const readable = await connector.createReadable(new Descriptor(memory));
const writable = await connector.createWritable(new Descriptor(memory));
const bare = createServer((socket) => socket.end(memory)).listen(0, '127.0.0.1');
await once(bare, 'listening');
const offered: Offered = {
  readable: encodeRdmaMetadata(readable.metadata),
  writable: encodeRdmaMetadata(writable.metadata),
  port: (bare.address() as AddressInfo).port,
};
process.send?.(offered);
process.once('disconnect', () => process.exit());
