import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { encodeHandshake, encodePrologue, words } from '../../../wire/control.ts';
import { encodeTwoPart } from '../../../wire/two-part.ts';
import { plainText, tcpBytes } from '../../testing/stage.ts';
import { inputContract } from '../input.contract.ts';
import { responsePlaneContract } from '../response-plane.contract.ts';
import { tcpResponses } from './index.ts';

const plane = tcpResponses({ tls: plainText });
responsePlaneContract({ plane, bytes: tcpBytes, skip: [] });
inputContract({ plane, bytes: tcpBytes, skip: [] });

test.each([
  ['disconnected', [encodeTwoPart({ header: encodeHandshake('s') })]],
  ['stream_incomplete', [encodeTwoPart({ header: encodeHandshake('s') }), encodeTwoPart({ header: encodePrologue(null) })]],
] as const)('a worker that closes only its own half too early ends its stream as %s, and the connection is let go', async (code, frames) => {
  await using listener = await plane.listen({ host: '127.0.0.1', port: 0 });
  const stream = listener.expect('s', { codec: 'msgpack' });
  const socket = connect({ port: Number(listener.address.split(':')[1]), host: '127.0.0.1', allowHalfOpen: true });
  const closing = once(socket.resume(), 'end');
  socket.end(Buffer.concat(frames));
  await expect(stream.next()).rejects.toMatchObject({ code });
  await closing;
  stream.leave();
  socket.destroy();
});

// Whether the kernel hands out the bytes before it tells of the reset is decided by the machine's load: it must succeed once.
test('a kill is heard although its caller has gone at once and the worker writes before it listens', { retry: 4 }, async () => {
  await using listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const heard: string[] = [];
  const writer = plane.callHome({
    to: { address: `127.0.0.1:${(listener.address() as AddressInfo).port}`, subject: 's' },
    codec: 'msgpack',
    connectMs: 1_000,
    onCancel: (how) => heard.push(how),
  });
  const [caller] = (await once(listener, 'connection')) as [Socket];
  await once(caller, 'data');
  // From a timer, as a handler that paces itself.
  await new Promise((resolve) => setTimeout(resolve, 1));
  caller.write(encodeTwoPart({ header: words.kill }));
  caller.resetAndDestroy();
  void writer.write([{ i: 0 }]);
  await expect.poll(() => heard).toEqual(['kill']);
  writer.drop();
});
