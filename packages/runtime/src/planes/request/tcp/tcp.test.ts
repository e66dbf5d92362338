import { expect, test } from 'vitest';
import { tcpBytes } from '../../testing/stage.ts';
import { requestPlanes } from '../index.ts';
import { requestPlaneContract } from '../request-plane.contract.ts';

requestPlaneContract({
  plane: requestPlanes.tcp,
  bytes: tcpBytes,
  transport: (address, path) => ({ tcp: `${address}/${path}` }),
  skip: [],
});

test('an instance that is not on TCP, and one without a path, are not reachable', () => {
  using sender = requestPlanes.tcp.dial({ connectMs: 100, ackMs: 100 });
  const codes: (string | undefined)[] = [];
  for (const transport of [{ nats: 'subject' }, { tcp: '127.0.0.1:1' }])
    sender.send({ transport, headers: {}, payload: new Uint8Array(0), maxFrameBytes: 1_000 }, (refused) => codes.push(refused?.code));
  expect(codes).toEqual(['cannot_connect', 'cannot_connect']);
});
