import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { DynamoError } from '@dynamo/runtime';
import { isBlockedAddress } from './addresses.ts';
import { fetchMedia } from './index.ts';
import type { Resolve } from './resolve.ts';
import { fetchRules, type FetchOptions } from './rules.ts';
import { openCanary } from './testing/canary.ts';
import { checkUrl } from './url-policy.ts';

const failure = (work: Promise<unknown>): Promise<DynamoError> =>
  work.then(
    () => expect.fail('it was fetched'),
    (error: unknown) => error as DynamoError,
  );
const loopback: Resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
const open: FetchOptions = { allowPrivateIps: true, allowDirectPort: true, allowDirectIp: true };
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** What a server at a friendly name answers to `path`. */
async function answered(
  answer: RequestListener,
  options: FetchOptions = {},
  path = '/a.png',
): Promise<{ got: Uint8Array | DynamoError; paths: readonly string[] }> {
  await using server = await openCanary(answer);
  const url = `http://media.example:${server.port}${path}`;
  const got = await fetchMedia(url, fetchRules({ ...open, ...options }), { resolve: loopback }).catch((error: unknown) => error as DynamoError);
  return { got, paths: server.paths };
}

test('the policy of Python workers gives their verdicts and texts', () => {
  const vectors = JSON.parse(readFileSync(new URL('../../../../vectors/multimodal/url_policy_python.json', import.meta.url), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  for (const [name, allowPrivateIps] of [
    ['strict', false],
    ['internal', true],
  ] as const) {
    const rules = fetchRules({ policy: 'worker', allowPrivateIps });
    for (const [url, expected] of Object.entries(vectors[name] as Record<string, string>)) {
      let verdict = 'ok';
      try {
        checkUrl(url, rules);
      } catch (error) {
        verdict = (error as Error).message;
      }
      expect(`${url}: ${verdict}`).toBe(`${url}: ${expected}`);
    }
  }
});

test('the environment opens what it opens in 1.6.1', () => {
  const rules = fetchRules({}, { DYN_MM_ALLOW_INTERNAL: '1', DYN_MM_MAX_DATA_URL_MB: '2', DYN_MM_LOCAL_PATH: '/srv' });
  expect(rules).toMatchObject({
    allowDirectIp: true,
    allowDirectPort: true,
    allowPrivateIps: true,
    maxDataUrlChars: 2 * 1024 * 1024,
    localPath: '/srv',
  });
  expect(fetchRules({ maxBytes: 5 })).toMatchObject({
    maxBytes: 5,
    maxInflatedBytes: 104_857_600,
    timeoutMs: 30_000,
    maxRedirects: 3,
    allowPrivateIps: false,
  });
});

/** Hosts that lead to this machine, a private network, metadata or a cluster, each in its own disguise. */
const hosts = [
  'localhost',
  'LOCALHOST',
  'LocalHost.',
  'localhost.localdomain',
  'ip6-localhost',
  'ip6-loopback',
  'a.localhost',
  'x.local',
  'db.internal',
  'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ',
  'local\u00adhost',
  'metadata',
  'metadata.google.internal',
  'METADATA.GOOGLE.INTERNAL.',
  'metadata.goog',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
  'api.prod.svc',
  '127.0.0.1',
  '127.0.0.1.',
  '127.1',
  '127.0.1',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0177.0.0.1',
  '017700000001',
  '0',
  '0.0.0.0',
  '１２７.０.０.１',
  '127。0。0。1',
  '10.1.2.3',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '192.0.0.1',
  '192.0.2.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::127.0.0.1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::ffff:8.8.8.8]',
  '[fc00::1]',
  '[fd12::1]',
  '[fe80::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[fe80::1%25lo]',
  '[::1%25lo]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::a00:1]',
  '[64:ff9b:1::1]',
  '[2002:7f00:1::]',
  '[2002:a9fe:a9fe::1]',
  '[2001:0:7f00:1::1]',
  '[2001::5efe:1]',
];

describe('nobody is asked for what is not allowed', () => {
  for (const policy of ['frontend', 'worker'] as const) {
    test(`hosts in every spelling, ${policy}`, async () => {
      await using canary = await openCanary();
      const rules = fetchRules({ policy, allowDirectIp: true, allowDirectPort: true });
      for (const host of hosts) {
        for (const scheme of ['http', 'https']) {
          const error = await failure(fetchMedia(`${scheme}://${host}:${canary.port}/x`, rules));
          expect(`${host}: ${error.code}`).toBe(`${host}: invalid_argument`);
        }
      }
      expect(canary.connections).toBe(0);
    });
  }

  test('addresses, ports, credentials, schemes and hosts beside the list', async () => {
    await using canary = await openCanary();
    const cases: readonly [string, FetchOptions, string][] = [
      ['http://8.8.8.8/x', {}, 'Direct IP access is not allowed'],
      ['http://[2606:4700::1]/x', {}, 'Direct IP access is not allowed'],
      [`http://media.example:${canary.port}/x`, {}, 'Direct port access is not allowed'],
      [`http://user:word@media.example:${canary.port}/x`, open, 'Credentials in a URL are not allowed'],
      [`http://media.example@127.0.0.1:${canary.port}/x`, open, 'Credentials in a URL are not allowed'],
      [
        `http://media.example:${canary.port}/x`,
        { ...open, allowedDomains: ['other.example'] },
        "Host 'media.example' is not in the allowed_media_domains list",
      ],
      ['ftp://media.example/x', open, 'Only HTTP(S) and data URLs are allowed'],
      ['file:///etc/passwd', open, 'Only HTTP(S) and data URLs are allowed'],
      ['/etc/passwd', open, 'The URL is invalid'],
    ];
    for (const [url, options, message] of cases) {
      expect((await failure(fetchMedia(url, fetchRules(options), { resolve: loopback }))).message).toBe(message);
    }
    expect(canary.connections).toBe(0);
  });

  test('a name with one bad address among good ones', async () => {
    await using canary = await openCanary();
    const resolve: Resolve = () =>
      Promise.resolve([
        { address: '8.8.8.8', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]);
    const error = await failure(fetchMedia(`http://media.example:${canary.port}/`, fetchRules({ allowDirectPort: true }), { resolve }));
    expect(error.message).toBe("Host 'media.example' resolves to a blocked address");
    expect(canary.connections).toBe(0);
  });

  test('a name that turns into this machine between check and connect', async () => {
    await using canary = await openCanary();
    let asked = 0;
    // A public address that answers nobody here; every later answer is the canary.
    const resolve: Resolve = () => Promise.resolve([{ address: asked++ === 0 ? '192.31.196.1' : '127.0.0.1', family: 4 }]);
    const error = await failure(
      fetchMedia(`http://media.example:${canary.port}/`, fetchRules({ allowDirectPort: true, timeoutMs: 300 }), { resolve }),
    );
    expect(['cannot_connect', 'deadline_exceeded']).toContain(error.code);
    expect([asked, canary.connections]).toEqual([1, 0]);
  });

  test('a redirect to any of these', async () => {
    await using canary = await openCanary();
    let target = '';
    await using server = await openCanary(
      (_request, response) => void response.writeHead(302, { location: Buffer.from(target).toString('latin1') }).end(),
    );
    const rules = fetchRules({ allowDirectPort: true, allowDirectIp: true });
    const followRedirects = (url: string): Promise<DynamoError> => failure(fetchMedia(url, fetchRules(open), { resolve: loopback }));
    for (const scheme of ['file:///etc/passwd', 'data:,x', 'ftp://media.example/', 'http://[bad/']) {
      target = scheme;
      expect((await followRedirects(`http://media.example:${server.port}/`)).message).toMatch(/^A redirect leads/);
    }
    target = `http://user:word@media.example:${canary.port}/`;
    expect((await followRedirects(`http://media.example:${server.port}/`)).message).toMatch(/^Credentials/);
    for (const host of hosts) {
      target = `http://${host}:${canary.port}/`;
      // The first hop is let into this machine, the second is not.
      const first = {
        ...rules,
        get allowPrivateIps() {
          return server.connections === before;
        },
      };
      const before = server.connections;
      await failure(fetchMedia(`http://media.example:${server.port}/`, first, { resolve: loopback }));
      expect(server.connections).toBe(before + 1);
    }
    target = `http://elsewhere.example:${canary.port}/`;
    const listed = fetchRules({ ...open, allowedDomains: ['media.example'] });
    const error = await failure(fetchMedia(`http://media.example:${server.port}/`, listed, { resolve: loopback }));
    expect(error.message).toBe("Host 'elsewhere.example' is not in the allowed_media_domains list");
    expect(canary.connections).toBe(0);
  });
});

describe('answers', () => {
  test('come through, and through redirects', async () => {
    const { got, paths } = await answered((request, response) => {
      if (request.url === '/a.png') response.writeHead(307, { location: '/b.png' }).end();
      else response.end(`for ${request.headers['user-agent']}`);
    });
    expect(text(got as Uint8Array)).toBe('for dynamo-ai/dynamo');
    expect(paths).toEqual(['/a.png', '/b.png']);
  });

  test('a loop of redirects ends after three', async () => {
    const { got, paths } = await answered((_request, response) => void response.writeHead(302, { location: '/a.png' }).end());
    expect((got as DynamoError).message).toBe('More than 3 redirects');
    expect(paths).toHaveLength(4);
  });

  test('errors and nothing are no media', async () => {
    expect((await answered((_request, response) => void response.writeHead(404).end('no'))).got).toMatchObject({
      message: 'The server of the media answered 404',
    });
    expect((await answered((_request, response) => void response.end())).got).toMatchObject({ message: 'The media are empty' });
  });

  test("a slow body ends at the time limit, and at the caller's wish", async () => {
    const slow: RequestListener = (_request, response) => void response.write('a');
    expect((await answered(slow, { timeoutMs: 100 })).got).toMatchObject({ code: 'deadline_exceeded' });
    await using server = await openCanary(slow);
    const stop = new AbortController();
    const work = fetchMedia(`http://media.example:${server.port}/`, fetchRules(open), { resolve: loopback, signal: stop.signal });
    const done = failure(work);
    await expect.poll(() => server.connections).toBe(1);
    stop.abort(new Error('enough'));
    expect((await done).message).toBe('enough');
  });

  test('a look-up that never ends does so at the time limit', async () => {
    const error = await failure(fetchMedia('http://media.example/', fetchRules({ timeoutMs: 50 }), { resolve: () => new Promise(() => {}) }));
    expect(error.code).toBe('deadline_exceeded');
  });

  test('an endless body ends at the limit of bytes, declared or not', async () => {
    const endless: RequestListener = (_request, response) => {
      const more = (): void => void (response.destroyed || response.write(Buffer.alloc(65_536), more));
      more();
    };
    expect((await answered(endless, { maxBytes: 1_000_000 })).got).toMatchObject({ code: 'payload_too_large' });
    const declared: RequestListener = (_request, response) => void response.writeHead(200, { 'content-length': '5000000000' }).write('a');
    expect((await answered(declared)).got).toMatchObject({ code: 'payload_too_large' });
  });

  test('a body that is cut off is an error', async () => {
    const cut: RequestListener = (_request, response) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('abc', () => response.destroy());
    };
    expect((await answered(cut)).got).toMatchObject({ code: 'cannot_connect' });
  });

  test('codings are undone within their own limit', async () => {
    const plain = Buffer.alloc(50_000_000);
    for (const [coding, packed] of [
      ['gzip', gzipSync(plain)],
      ['br', brotliCompressSync(plain)],
    ] as const) {
      const answer: RequestListener = (_request, response) => void response.writeHead(200, { 'content-encoding': coding }).end(packed);
      expect((await answered(answer, { maxInflatedBytes: 1_000_000 })).got).toMatchObject({ code: 'payload_too_large' });
      expect(((await answered(answer)).got as Uint8Array).byteLength).toBe(plain.byteLength);
    }
    for (const coding of ['zstd', 'gzip, gzip', 'constructor']) {
      const answer: RequestListener = (_request, response) => void response.writeHead(200, { 'content-encoding': coding }).end('x');
      expect((await answered(answer)).got).toMatchObject({ code: 'invalid_argument' });
    }
    const damaged: RequestListener = (_request, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip');
    expect((await answered(damaged)).got).toMatchObject({ data: { step: 'fetch' } });
  });
});

test('data URLs: standard base64 within their limit, whatever type they claim', async () => {
  const rules = fetchRules({ maxDataUrlChars: 40 });
  expect(text(await fetchMedia('DATA:text/plain;base64,aGk=', rules))).toBe('hi');
  for (const bad of ['data:nocomma', 'data:,', 'data:;base64,', 'data:;base64,aGk', 'data:;base64,a-_=', 'data:;base64,a=b=']) {
    expect((await failure(fetchMedia(bad, rules))).code).toBe('invalid_argument');
  }
  expect((await failure(fetchMedia(`data:;base64,${'A'.repeat(40)}`, rules))).code).toBe('payload_too_large');
  const long = `data:;base64,${'A'.repeat(15_000_000)}`;
  expect((await fetchMedia(long, fetchRules())).byteLength).toBe(11_250_000);
});

test('files: only under the path of a worker, links followed first', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'media-'));
  try {
    await writeFile(join(folder, 'a'), 'hi');
    await symlink('/etc/passwd', join(folder, 'link'));
    const rules = fetchRules({ policy: 'worker', localPath: folder });
    expect(text(await fetchMedia(pathToFileURL(join(folder, 'a')).href, rules))).toBe('hi');
    for (const path of [join(folder, 'link'), '/etc/passwd', join(folder, 'none'), `${folder}/../../etc/passwd`]) {
      expect((await failure(fetchMedia(`file://${path}`, rules))).code).toBe('invalid_argument');
    }
    expect((await failure(fetchMedia(pathToFileURL(join(folder, 'a')).href, { ...rules, maxBytes: 1 }))).code).toBe('payload_too_large');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('public addresses are not blocked, embedded ones neither', () => {
  for (const address of ['8.8.8.8', '93.184.216.34', '172.32.0.1', '100.128.0.1', '2606:4700::1', '64:ff9b::808:808', '2002:808:808::1']) {
    expect(`${address} ${isBlockedAddress(address)}`).toBe(`${address} false`);
  }
  for (const address of ['fe80::1%lo', 'no address', '']) expect(isBlockedAddress(address)).toBe(true);
});
