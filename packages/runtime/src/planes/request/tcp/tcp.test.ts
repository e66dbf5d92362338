import { expect, test } from 'vitest';
import { plainText, tcpBytes } from '../../testing/stage.ts';
import { requestPlaneContract } from '../request-plane.contract.ts';
import { tcpRequests } from './index.ts';

requestPlaneContract({
  plane: tcpRequests({ tls: plainText }),
  bytes: tcpBytes,
  transport: (address, path) => ({ tcp: `${address}/${path}` }),
  unknown: ['Server unavailable: unknown endpoint gone'],
  skip: [],
});

test('an instance that is not on TCP, and one without a path, are not reachable', () => {
  using sender = tcpRequests({ tls: plainText }).dial({ connectMs: 100, ackMs: 100 });
  const codes: (string | undefined)[] = [];
  for (const transport of [{ nats: 'subject' }, { tcp: '127.0.0.1:1' }])
    sender.send({ transport, headers: {}, payload: new Uint8Array(0), maxFrameBytes: 1_000 }, (refused) => codes.push(refused?.code));
  expect(codes).toEqual(['cannot_connect', 'cannot_connect']);
});

test('a worker that answers with a TLS alert is not reachable in plain text, and the message says why', async () => {
  await using worker = await tcpBytes.listen((socket) => socket.once('data', () => socket.end(Buffer.from('15030300020246', 'hex'))));
  using sender = tcpRequests({ tls: plainText }).dial({ connectMs: 5_000, ackMs: 5_000 });
  const request = { transport: { tcp: `${worker.address}/path` }, headers: {}, payload: new Uint8Array(1), maxFrameBytes: 1_000 };
  expect(await new Promise((resolve) => sender.send(request, resolve))).toMatchObject({
    code: 'cannot_connect',
    message: expect.stringContaining('it answers in TLS; set DYN_TCP_TLS_CA_CERT_PATH'),
  });
});
