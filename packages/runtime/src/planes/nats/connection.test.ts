import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../../log.ts';
import { notebook } from '../../testing/notebook.ts';
import { freePort, missing, startNats, type TestServer } from '../../testing/servers.ts';
import { openSockets } from '../testing/stage.ts';
import { createNatsLink } from './connection.ts';
import { readNatsSettings } from './settings.ts';

const open = (env: Record<string, string>, log = silentLogger) => createNatsLink(readNatsSettings(env), log);

describe('settings', () => {
  const auth = (env: Record<string, string>) => readNatsSettings(env).auth;
  const all = {
    NATS_AUTH_USERNAME: 'u',
    NATS_AUTH_PASSWORD: 'p',
    NATS_AUTH_TOKEN: 't',
    NATS_AUTH_NKEY: 'n',
    NATS_AUTH_CREDENTIALS_FILE: 'f',
  };

  test('the ways in are tried in the order of the real client', () => {
    const { NATS_AUTH_PASSWORD: _, ...half } = all;
    expect(auth(all)).toEqual({ kind: 'password', user: 'u', password: 'p' });
    expect(auth(half)).toEqual({ kind: 'token', token: 't' });
    expect(auth({ ...half, NATS_AUTH_TOKEN: '' })).toEqual({ kind: 'nkey', seed: 'n' });
    expect(auth({ NATS_AUTH_CREDENTIALS_FILE: 'f' })).toEqual({ kind: 'credentials', path: 'f' });
    expect(auth({ NATS_SERVER: 'nats://me:s%40cret@h:1' })).toEqual({ kind: 'password', user: 'me', password: 's@cret' });
    expect(auth({})).toEqual({ kind: 'password', user: 'user', password: 'user' });
  });

  test('addresses are read without their secrets, and a bad one is refused by name', () => {
    expect(readNatsSettings({}).servers).toEqual(['nats://localhost:4222']);
    expect(readNatsSettings({ NATS_SERVER: 'a:1, tls://me:secret@b:2' }).servers).toEqual(['nats://a:1', 'tls://b:2']);
    for (const NATS_SERVER of ['http://me:secret@x', 'nats://', 'nats://h:99999'])
      expect(() => readNatsSettings({ NATS_SERVER })).toThrow(
        expect.objectContaining({ code: 'invalid_argument', message: expect.not.stringContaining('secret') }),
      );
  });
});

describe('nobody there', () => {
  test('a closed port is told with the address, and the next call tries again', async () => {
    const url = `nats://127.0.0.1:${await freePort()}`;
    await using link = open({ NATS_SERVER: url });
    const told = { code: 'cannot_connect', message: expect.stringMatching(`NATS at ${url} can't be reached: .*ECONNREFUSED`), data: { url } };
    await expect(link.open()).rejects.toMatchObject(told);
    await expect(link.open()).rejects.toMatchObject(told);
  });

  for (const [name, greet] of [
    ['says nothing', () => {}],
    ['hangs up', (socket: Socket) => socket.end()],
    ['speaks something else', (socket: Socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ] as const) {
    test(`a server that ${name} is told of in time, and no socket stays`, async () => {
      const before = openSockets();
      const server = createServer((socket) => void greet(socket.on('error', () => {}))).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      const settings = readNatsSettings({ NATS_SERVER: `127.0.0.1:${typeof address === 'object' ? address?.port : ''}` });
      await using link = createNatsLink({ ...settings, connectMs: 200 }, silentLogger);
      await expect(link.open()).rejects.toMatchObject({ code: 'cannot_connect' });
      server.close();
      await expect.poll(openSockets).toBeLessThanOrEqual(before);
    });
  }

  test('credentials that cannot be read or used are refused by their variable', async () => {
    const refused = async (env: Record<string, string>): Promise<unknown> =>
      open(env)
        .open()
        .catch((error: unknown) => error);
    expect(await refused({ NATS_AUTH_NKEY: 'nonsense' })).toMatchObject({ code: 'invalid_argument', data: { name: 'NATS_AUTH_NKEY' } });
    const name = 'NATS_AUTH_CREDENTIALS_FILE';
    expect(await refused({ [name]: '/nowhere/x.creds' })).toMatchObject({ code: 'invalid_argument', data: { name } });
    const folder = mkdtempSync(join(tmpdir(), 'creds-'));
    writeFileSync(join(folder, 'x.creds'), 'no credentials');
    expect(await refused({ [name]: join(folder, 'x.creds') })).toMatchObject({ code: 'invalid_argument', data: { name } });
    rmSync(folder, { recursive: true });
  });
});

describe.skipIf(missing('nats-server') !== undefined)(`a real server (${missing('nats-server') ?? 'installed'})`, () => {
  let server: TestServer;
  beforeAll(async () => void (server = await startNats()));
  afterAll(() => server[Symbol.asyncDispose]());

  test('everybody gets the same connection, and nothing opens after disposal', async () => {
    const link = open({ NATS_SERVER: server.url });
    const [one, two] = await Promise.all([link.open(), link.open()]);
    expect(two).toBe(one);
    const heard = new Promise((resolve) => one.subscribe('a', { max: 1, callback: (_, message) => resolve(message.string()) }));
    one.publish('a', 'hello');
    expect(await heard).toBe('hello');
    await link[Symbol.asyncDispose]();
    expect(one.isClosed()).toBe(true);
    await expect(link.open()).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('the connection comes back after a crash, its subscriptions with it', async () => {
    const { lines, log } = notebook();
    await using link = open({ NATS_SERVER: server.url }, log);
    const connection = await link.open();
    const changes: boolean[] = [];
    using _changes = link.onChange((connected) => changes.push(connected));
    const heard: string[] = [];
    connection.subscribe('a', { callback: (_, message) => void heard.push(message.string()) });
    await server.kill();
    await expect.poll(() => changes).toEqual([false]);
    await server.start();
    await expect.poll(() => changes, { timeout: 10_000 }).toEqual([false, true]);
    connection.publish('a', 'again');
    await expect.poll(() => heard).toEqual(['again']);
    expect(lines).toEqual(['lost the NATS server: trying to reach it again']);
  });

  test('disposal does not wait for a server that is gone', async () => {
    const link = open({ NATS_SERVER: server.url });
    await link.open();
    await server.kill();
    await link[Symbol.asyncDispose]();
    await server.start();
  });

  test.each([
    ['a name and a password', ['--user', 'me', '--pass', 'secret'], { NATS_AUTH_USERNAME: 'me', NATS_AUTH_PASSWORD: 'secret' }],
    ['the default name', ['--user', 'user', '--pass', 'user'], {}],
    ['a token', ['--auth', 'secret'], { NATS_AUTH_TOKEN: 'secret' }],
  ] as const)('%s lets us in, and a wrong one is told of', async (_, args, env) => {
    await using guarded = await startNats({ args });
    await using good = open({ NATS_SERVER: guarded.url, ...env });
    await good.open();
    await using bad = open({ NATS_SERVER: guarded.url, NATS_AUTH_TOKEN: 'wrong' });
    await expect(bad.open()).rejects.toMatchObject({ code: 'cannot_connect', message: expect.stringContaining('Authorization') });
  });
});
