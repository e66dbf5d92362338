import { expect, test } from 'vitest';
import { tcpBytes } from '../../testing/stage.ts';
import { requestPlaneContract } from '../request-plane.contract.ts';
import { tcpRequests } from './index.ts';

requestPlaneContract({
  plane: tcpRequests(),
  bytes: tcpBytes,
  transport: (address, path) => ({ tcp: `${address}/${path}` }),
  unknown: ['Server unavailable: unknown endpoint gone'],
  skip: [],
});

test('an instance that is not on TCP, and one without a path, are not reachable', () => {
  using sender = tcpRequests().dial({ connectMs: 100, ackMs: 100 });
  const codes: (string | undefined)[] = [];
  for (const transport of [{ nats: 'subject' }, { tcp: '127.0.0.1:1' }])
    sender.send({ transport, headers: {}, payload: new Uint8Array(0), maxFrameBytes: 1_000 }, (refused) => codes.push(refused?.code));
  expect(codes).toEqual(['cannot_connect', 'cannot_connect']);
});
