import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isInstanceFault } from '../../../client/faults.ts';
import type { DynamoError } from '../../../error.ts';
import { silentLogger } from '../../../log.ts';
import { missing, startNats, type TestServer } from '../../../testing/servers.ts';
import { notebook } from '../../../testing/notebook.ts';
import { createNatsLink, type NatsConnection, type NatsLink } from '../../nats/connection.ts';
import { readNatsSettings } from '../../nats/settings.ts';
import { tcpBytes } from '../../testing/stage.ts';
import { requestPlaneContract } from '../request-plane.contract.ts';
import type { RequestDialOptions, RequestPlane } from '../request-plane.ts';
import { natsRequests } from './index.ts';
import { subjectOf } from './listen.ts';

const reason = missing('nats-server');
if (reason !== undefined) console.warn(`skipped: ${reason}`);

const linkTo = (url: string): NatsLink => createNatsLink(readNatsSettings({ NATS_SERVER: url }), silentLogger);

/** A plane whose listeners and senders each have a connection of their own, as two processes would. */
function planeAt(url: () => string): RequestPlane {
  return {
    async listen(options) {
      await using undo = new AsyncDisposableStack();
      const link = undo.use(linkTo(url()));
      const listener = undo.use(await natsRequests({ nats: link }).listen(options));
      const kept = undo.move();
      return { ...listener, [Symbol.asyncDispose]: () => kept.disposeAsync() };
    },
    dial(options) {
      const link = linkTo(url());
      const sender = natsRequests({ nats: link }).dial(options);
      return {
        send: (request, onAck) => sender.send(request, onAck),
        [Symbol.dispose]() {
          sender[Symbol.dispose]();
          void link[Symbol.asyncDispose]();
        },
      };
    },
  };
}

const noBytes = 'NATS stands between the two, and nobody connects to a peer';
const ofItsOwn = 'the server stands between: nats.test.ts has the same for it';

describe.skipIf(reason !== undefined)('requests over NATS', () => {
  let server: TestServer;
  beforeAll(async () => void (server = await startNats()));
  afterAll(() => server[Symbol.asyncDispose]());

  requestPlaneContract({
    plane: planeAt(() => server.url),
    bytes: tcpBytes,
    transport: (_address, path) => ({ nats: path }),
    unknown: ['Server unavailable: unknown endpoint gone', 'nobody takes requests at NATS subject gone'],
    skip: [
      ...[
        'an address that leads nowhere is a typed refusal',
        'a worker that takes requests and never answers times out, and others go on',
        'an acknowledgement that waits while the event loop is busy is in time',
        'a caller that is closed tells those who wait, and sends no more',
        'a worker that does not read is given no more than so much',
        'a frame that is longer than allowed is refused with one line, and nothing behind it is read',
      ].map((name) => ({ case: name, reason: ofItsOwn })),
      ...[
        'an idle connection is closed, and the next request opens another',
        'acknowledgements that come byte by byte are read',
        'requests that are garbled anywhere harm nobody else',
        'acknowledgements that are garbled anywhere are typed',
        'a worker that acknowledges nonsense is let go',
        'requests cut between any two bytes are read',
        'a peer that closes its half gets its acknowledgements',
        'a frame that claims 4 GiB is refused with one line, and nothing behind it is read',
        'a peer that sends half a request and hangs is let go with one line, and others go on',
        'a peer that says nothing at all is left alone',
        'a peer that takes no acknowledgements is read no further and let go, and others go on',
      ].map((name) => ({ case: name, reason: noBytes })),
    ],
  });

  /** One caller, and a bare connection that plays workers as no implementation would. */
  async function open(options: Partial<RequestDialOptions> = {}) {
    await using undo = new AsyncDisposableStack();
    const link = undo.use(linkTo(server.url));
    const sender = undo.use(natsRequests({ nats: link }).dial({ connectMs: 5_000, ackMs: 20_000, ...options }));
    const bare: NatsConnection = await undo.use(linkTo(server.url)).open();
    const send = (nats: string, payload: Uint8Array = Buffer.from('x'), maxFrameBytes = 32 << 20): Promise<DynamoError | undefined> =>
      new Promise((resolve) => sender.send({ transport: { nats }, headers: { 'request-id': 'r' }, payload, maxFrameBytes }, resolve));
    const work = async (subject: string, answer: (payload: Uint8Array) => string | undefined): Promise<void> => {
      bare.subscribe(subject, {
        queue: 'q',
        callback(_, message) {
          const text = answer(message.data);
          if (text !== undefined) message.respond(text);
        },
      });
      await bare.flush();
    };
    const kept = undo.move();
    return { link, sender, bare, send, work, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }

  test('a subject that nobody serves is refused at once and blames the instance', async () => {
    await using stage = await open();
    const refused = await stage.send('demo_backend.gone-1f');
    expect(refused).toMatchObject({ code: 'cannot_connect', message: 'nobody takes requests at NATS subject demo_backend.gone-1f' });
    expect(isInstanceFault(refused)).toBe(true);
  });

  test.each(['', 'a b', 'a.*', 'a.>', 'a\r\nPUB x 0', 'a..b', '.a'])('the subject %j is not sent to', async (subject) => {
    await using stage = await open();
    expect(await stage.send(subject)).toMatchObject({ code: 'cannot_connect' });
  });

  test('an instance that is not on NATS is not reachable', async () => {
    await using stage = await open();
    const request = { transport: { tcp: '127.0.0.1:1/p' }, headers: {}, payload: new Uint8Array(0), maxFrameBytes: 1_000 };
    expect(await new Promise((resolve) => stage.sender.send(request, resolve))).toMatchObject({ code: 'cannot_connect' });
  });

  test('a worker that never answers times out and is blamed, and others go on', async () => {
    await using stage = await open({ ackMs: 150 });
    await stage.work('silent', () => undefined);
    await stage.work('fine', () => '');
    const waiting = Promise.all([stage.send('silent'), stage.send('silent')]);
    expect(await stage.send('fine')).toBeUndefined();
    const acks = await waiting;
    expect(acks.map((ack) => [ack?.code, isInstanceFault(ack)])).toEqual([
      ['connection_timeout', true],
      ['connection_timeout', true],
    ]);
    expect(acks[0]).toMatchObject({ message: 'NATS request to silent timed out', data: { limit: 'ack', ms: 150 } });
  });

  test('an acknowledgement that waits while the event loop is busy is in time', async () => {
    await using stage = await open({ ackMs: 100 });
    await stage.work('busy', () => {
      for (const until = performance.now() + 400; performance.now() < until;);
      return '';
    });
    expect(await stage.send('busy')).toBeUndefined();
  });

  test('a caller that is closed tells those who wait, and sends no more', async () => {
    await using stage = await open();
    await stage.work('silent', () => undefined);
    const waiting = stage.send('silent');
    await sleep(20);
    stage.sender[Symbol.dispose]();
    expect(await waiting).toMatchObject({ code: 'unavailable' });
    expect(await stage.send('silent')).toMatchObject({ code: 'unavailable' });
  });

  test("what passes the server's limit is not sent, also as the very first request, and says both sizes", async () => {
    for (const first of [true, false]) {
      await using stage = await open();
      await stage.work('fine', () => '');
      if (!first) expect(await stage.send('fine')).toBeUndefined();
      const refused = await stage.send('fine', new Uint8Array(1 << 20));
      expect(refused).toMatchObject({ code: 'payload_too_large', data: { limit: 1 << 20, actual: (1 << 20) + 27 } });
      expect(refused?.message).toContain("1048603 bytes passes the NATS server's limit of 1048576 (max_payload)");
      expect(isInstanceFault(refused)).toBe(false);
      expect(await stage.send('fine', new Uint8Array((1 << 20) - 27))).toBeUndefined();
    }
  });

  test('no more than so much waits for acknowledgements', async () => {
    await using stage = await open({ maxUnsentBytes: 1_000 });
    await stage.work('silent', () => undefined);
    await stage.work('fine', () => '');
    void stage.send('silent', new Uint8Array(600));
    expect(await stage.send('silent', new Uint8Array(600))).toMatchObject({
      code: 'worker_overloaded',
      message: expect.stringMatching(/^Server overloaded:/),
    });
    for (let i = 0; i < 10; i++) expect(await stage.send('fine', new Uint8Array(200))).toBeUndefined();
  });

  test('a worker refuses what is larger than it takes, with one line', async () => {
    const { lines, log } = notebook();
    await using stage = await open();
    await using listener = await natsRequests({ nats: stage.link }).listen({ host: '', port: 0, maxFrameBytes: 100, log });
    await listener.handle('small', () => undefined);
    expect(await stage.send('small', new Uint8Array(101))).toMatchObject({ message: 'Read error: request of 101 bytes passes the limit of 100' });
    expect(await stage.send('small', new Uint8Array(100))).toBeUndefined();
    expect(lines).toEqual(['refused a request that is too large']);
  });

  test('of two workers of one subject each request reaches one', async () => {
    await using stage = await open();
    const plane = planeAt(() => server.url);
    const seen = [0, 0];
    await using one = await plane.listen({ host: '', port: 0, maxFrameBytes: 100, log: silentLogger });
    await using two = await plane.listen({ host: '', port: 0, maxFrameBytes: 100, log: silentLogger });
    await one.handle('shared', () => void seen[0]!++);
    await two.handle('shared', () => void seen[1]!++);
    await Promise.all(Array.from({ length: 200 }, () => stage.send('shared')));
    expect(seen[0]! + seen[1]!).toBe(200);
    expect(Math.min(...seen)).toBeGreaterThan(0);
  });

  test('a server that cannot be reached refuses with its address, and blames no instance', async () => {
    await using link = linkTo('nats://127.0.0.1:1');
    using sender = natsRequests({ nats: link }).dial({ connectMs: 5_000, ackMs: 20_000 });
    const request = { transport: { nats: 'x' }, headers: {}, payload: new Uint8Array(1), maxFrameBytes: 1_000 };
    const refused = await new Promise((resolve) => sender.send(request, resolve));
    expect(refused).toMatchObject({ code: 'cannot_connect', message: expect.stringContaining('nats://127.0.0.1:1') });
    expect(isInstanceFault(refused)).toBe(false);
  });

  test('a subject reads as the real one writes it', () => {
    const identity = { namespace: 'demonats', component: 'nodew', endpoint: 'generate', id: 0x5bda2316d88943d0n };
    expect(subjectOf(identity)).toBe('demonats_nodew.generate-5bda2316d88943d0');
  });
});

describe.skipIf(reason !== undefined)('a NATS server that comes and goes', () => {
  let server: TestServer;
  beforeEach(async () => void (server = await startNats()));
  afterEach(() => server[Symbol.asyncDispose]());

  async function open(ackMs = 20_000) {
    await using undo = new AsyncDisposableStack();
    const plane = planeAt(() => server.url);
    const listener = undo.use(await plane.listen({ host: '', port: 0, maxFrameBytes: 1_000, log: silentLogger }));
    const sender = undo.use(plane.dial({ connectMs: 5_000, ackMs }));
    const seen = new Map<string, number>();
    await listener.handle('echo', ({ payload }) => {
      const text = payload.toString();
      seen.set(text, (seen.get(text) ?? 0) + 1);
      return undefined;
    });
    const send = (text: string): Promise<DynamoError | undefined> =>
      new Promise((resolve) => sender.send({ transport: { nats: 'echo' }, headers: {}, payload: Buffer.from(text), maxFrameBytes: 1_000 }, resolve));
    const kept = undo.move();
    return { send, seen, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }

  test('restarted under load: every request is taken once or refused with a type, and later ones are taken', async () => {
    await using stage = await open();
    const acks: Promise<DynamoError | undefined>[] = [];
    let sending = true;
    const load = (async () => {
      for (let i = 0; sending; i++) {
        acks.push(stage.send(`${i}`));
        if (i % 10 === 0) await sleep(1);
      }
    })();
    await sleep(100);
    await server.kill();
    await sleep(300);
    await server.start();
    await sleep(1_000);
    sending = false;
    await load;
    const settled = await Promise.all(acks);
    for (const [index, ack] of settled.entries()) {
      if (ack === undefined) expect(stage.seen.get(`${index}`)).toBe(1);
      else expect([ack.code, isInstanceFault(ack)]).toEqual(['disconnected', false]);
    }
    expect(Math.max(...stage.seen.values())).toBe(1);
    expect(settled.at(-1)).toBeUndefined();
    expect(settled.filter((ack) => ack === undefined).length).toBeGreaterThan(settled.length / 2);
  });

  test('one that stays away refuses in time, and blames no instance', async () => {
    await using stage = await open(300);
    expect(await stage.send('before')).toBeUndefined();
    await server.kill();
    await sleep(50);
    const refused = await stage.send('meanwhile');
    expect(refused).toMatchObject({ code: 'connection_timeout', message: expect.stringContaining('did not come back in time') });
    expect(isInstanceFault(refused)).toBe(false);
    await server.start();
    await expect.poll(() => stage.send('after'), { timeout: 10_000 }).toBeUndefined();
  });

  test('one that is frozen times out, and goes on where it was', async () => {
    await using stage = await open(300);
    expect(await stage.send('before')).toBeUndefined();
    server.signal('SIGSTOP');
    await sleep(200); // Its threads stop one by one.
    expect(await stage.send('meanwhile')).toMatchObject({ code: 'connection_timeout' });
    server.signal('SIGCONT');
    await expect.poll(() => stage.send('after'), { timeout: 10_000 }).toBeUndefined();
  });
});

test('the captured request reads as the plane sends it', () => {
  const { segments } = JSON.parse(readFileSync(new URL('../../../../../../vectors/runtime/nats-request-plane.json', import.meta.url), 'utf8')) as {
    segments: { text: string }[];
  };
  const sent = segments.find(({ text }) => text.includes('HPUB '))?.text ?? '';
  const [, subject, headerBytes, totalBytes] = /HPUB (\S+) \S+ (\d+) (\d+)\r\n/.exec(sent) ?? [];
  const block = sent.slice(sent.indexOf('NATS/1.0'));
  expect(subject).toBe('demonats_nodew.generate-5bda2316d88943d0');
  // A name, a value, and what stands around them: as the limit of the server counts them.
  const headers = [...block.slice(0, Number(headerBytes)).matchAll(/^(\S+): (\S+)\r$/gm)].map(
    ([, name = '', value = '']) => name.length + value.length + 4,
  );
  expect(headers.reduce((sum, bytes) => sum + bytes, 12)).toBe(Number(headerBytes));
  expect(Buffer.from(block, 'latin1').length).toBe(Number(totalBytes) + 2);
});
