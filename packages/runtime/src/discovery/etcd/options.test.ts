import { expect, test } from 'vitest';
import { settle } from '../../options.ts';
import { silentLogger } from '../../log.ts';
import { etcd } from './index.ts';
import { etcdOptionsOf } from './options.ts';

test('without variables it is at its usual place, with the lease of the real one', () => {
  const defaults = { endpoints: ['http://localhost:2379'], leaseTtlSeconds: 30, tls: {} };
  expect(etcdOptionsOf({})).toEqual(defaults);
  expect(etcdOptionsOf({ ETCD_ENDPOINTS: '', ETCD_LEASE_TTL: '', ETCD_AUTH_USERNAME: '', ETCD_AUTH_CA: '' })).toEqual(defaults);
});

test('every variable is read', () => {
  const env = {
    ETCD_ENDPOINTS: 'https://a:1, HTTPS://b.c , https://[::1]:3/',
    ETCD_LEASE_TTL: '1',
    ETCD_AUTH_USERNAME: 'user',
    ETCD_AUTH_PASSWORD: 'secret',
    ETCD_AUTH_CA: '/ca',
    ETCD_AUTH_CLIENT_CERT: '/cert',
    ETCD_AUTH_CLIENT_KEY: '/key',
  };
  expect(etcdOptionsOf(env)).toEqual({
    endpoints: ['https://a:1', 'https://b.c:2379', 'https://[::1]:3'],
    leaseTtlSeconds: 1,
    login: { username: 'user', password: 'secret' },
    tls: { ca: '/ca', clientCert: '/cert', clientKey: '/key' },
  });
});

test('an endpoint without a scheme is http, or https when there is a CA', () => {
  expect(etcdOptionsOf({ ETCD_ENDPOINTS: 'a:1,b:2' }).endpoints).toEqual(['http://a:1', 'http://b:2']);
  expect(etcdOptionsOf({ ETCD_ENDPOINTS: 'a:1', ETCD_AUTH_CA: '/ca' }).endpoints).toEqual(['https://a:1']);
});

test.each([
  ['ETCD_LEASE_TTL', '0', {}],
  ['ETCD_LEASE_TTL', '-1', {}],
  ['ETCD_LEASE_TTL', '1.5', {}],
  ['ETCD_LEASE_TTL', 'ten', {}],
  ['ETCD_LEASE_TTL', '9999999999', {}],
  ['ETCD_ENDPOINTS', ',', {}],
  ['ETCD_ENDPOINTS', 'http://a:1,', {}],
  ['ETCD_ENDPOINTS', 'ftp://a:1', {}],
  ['ETCD_ENDPOINTS', 'http://a:0', {}],
  ['ETCD_ENDPOINTS', 'http://a:65536', {}],
  ['ETCD_ENDPOINTS', 'http://a:1/path', {}],
  ['ETCD_ENDPOINTS', 'http://user@a:1', {}],
  ['ETCD_ENDPOINTS', 'http://a:1,https://b:1', {}],
  ['ETCD_AUTH_PASSWORD', '', { ETCD_AUTH_USERNAME: 'user' }],
  ['ETCD_AUTH_USERNAME', '', { ETCD_AUTH_PASSWORD: 'secret' }],
  ['ETCD_AUTH_CLIENT_KEY', '', { ETCD_AUTH_CLIENT_CERT: '/cert' }],
])("%s='%s' is refused by name", (name, value, more) => {
  const reading = (): unknown => etcdOptionsOf({ ...more, [name]: value });
  expect(reading).toThrow(
    expect.objectContaining({ code: 'invalid_argument', message: expect.stringContaining(`${name}='${value}'`), data: { name, value } }),
  );
  expect(reading).not.toThrow('secret');
});

test('the variables count for etcd only', () => {
  expect(settle({ discovery: 'mem' }, { ETCD_LEASE_TTL: 'ten' }).etcd).toBeUndefined();
  expect(() => settle({ discovery: 'etcd' }, { ETCD_LEASE_TTL: 'ten' })).toThrow('ETCD_LEASE_TTL');
  expect(settle({}, { DYN_DISCOVERY_BACKEND: 'etcd' })).toMatchObject({ discovery: 'etcd', etcd: { leaseTtlSeconds: 30 } });
});

test('a file that can not be read is told with its variable', async () => {
  const options = etcdOptionsOf({ ETCD_ENDPOINTS: 'https://127.0.0.1:1', ETCD_AUTH_CA: '/nonexistent/ca.pem' });
  await expect(etcd({ etcd: options, log: silentLogger })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining("ETCD_AUTH_CA='/nonexistent/ca.pem' can't be read"),
  });
});
