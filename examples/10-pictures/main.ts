// Pictures of a request: fetched and decoded under one policy, named by their content, and handed to the worker that needs the pixels.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Multimodal } from '@dynamo/multimodal';
import { DynamoError } from '@dynamo/runtime';

// Six pixels, as PNG and as BMP: other bytes, the same picture.
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAHElEQVR4nGNgYGRiZmFlY+dg4OTi5uHl4xcQBAAEAQCa4lIlIQAAAABJRU5ErkJggg==';
const bmp = Buffer.alloc(54 + 24);
bmp.write('BM');
for (const [at, value] of [
  [2, bmp.length],
  [10, 54],
  [14, 40],
  [18, 3],
  [22, 2],
  [26, 0x180001],
  [34, 24],
] as const)
  bmp.writeUInt32LE(value, at);
// Rows from below, colours from blue to red.
for (let pixel = 0; pixel < 6; pixel++) {
  const at = 54 + (pixel < 3 ? 12 : 0) + (pixel % 3) * 3;
  bmp.set([3 * pixel + 2, 3 * pixel + 1, 3 * pixel], at);
}

await using frontend = new Multimodal();
const picture = await frontend.load({ kind: 'image', url: `data:image/png;base64,${png}` });
const same = await frontend.load({ kind: 'image', data: bmp });
assert.deepEqual(picture.bytes, same.bytes);
assert.equal(frontend.hash(picture), frontend.hash(same));
console.log(picture.shape.join('×'), picture.colorType, frontend.hash(picture).toString(16));

// Nobody makes this server's process ask its own network: the request isn't sent.
const server = createServer((_request, response) => response.end(bmp)).listen(0, '127.0.0.1');
await once(server, 'listening');
let asked = 0;
server.on('connection', () => (asked += 1));
const inside = `http://127.0.0.1:${(server.address() as AddressInfo).port}/picture.bmp`;
await assert.rejects(frontend.load({ kind: 'image', url: inside }), (error) => DynamoError.is(error, 'invalid_argument'));
assert.equal(asked, 0);
console.log('inside: refused, asked', asked, 'times');

// Unless it is told that it may.
await using trusting = new Multimodal({ fetch: { allowPrivateIps: true, allowDirectIp: true, allowDirectPort: true } });
assert.equal(trusting.hash(await trusting.load({ kind: 'image', url: inside })), frontend.hash(picture));
server.close();
console.log('inside, allowed: the same picture');

// The worker reads the pixels out of the frontend's memory.
await using shared = await frontend.share(picture.bytes);
await using worker = new Multimodal();
assert.deepEqual(await worker.read(shared.descriptor), new Uint8Array(picture.bytes));
console.log('at the worker:', picture.bytes.byteLength, 'bytes');
