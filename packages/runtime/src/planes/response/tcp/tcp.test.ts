import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { encodeHandshake, encodePrologue } from '../../../wire/control.ts';
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
