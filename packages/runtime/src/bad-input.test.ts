import { expect, test, vi } from 'vitest';
import { collect } from './async/pipe.ts';
import type { CallOptions, ClientOptions } from './client/types.ts';
import type { ServeOptions } from './endpoint/serve.ts';
import { type ConnectOptions, settle } from './options.ts';
import { DistributedRuntime } from './runtime.ts';

const path = 'demo.backend.generate';
const refused = (field: string, text: string | RegExp, limit?: number): unknown =>
  expect.objectContaining({
    code: 'invalid_argument',
    message: typeof text === 'string' ? expect.stringContaining(text) : expect.stringMatching(text),
    data: expect.objectContaining({ field, ...(limit === undefined ? {} : { limit }) }),
  });

test.each<[ConnectOptions | unknown, unknown]>([
  [null, refused('options', 'options=null: expected an object')],
  ['file', refused('options', "options='file'")],
  [[], refused('options', 'options=an array')],
  [{ discovery: 'zookeeper' }, refused('discovery', "discovery='zookeeper': expected one of file, mem, etcd, kubernetes")],
  [{ discovery: null }, refused('discovery', 'discovery=null: expected an object')],
  [{ discovery: {} }, refused('discovery.put', 'discovery.put=undefined: expected a function')],
  [{ discovery: 'mem', requestPlane: 'http' }, refused('requestPlane', "requestPlane='http': expected one of tcp, nats")],
  [{ discovery: 'mem', requestPlane: 5 }, refused('requestPlane', 'requestPlane=5')],
  [{ discovery: 'mem', eventPlane: 'kafka' }, refused('eventPlane', "eventPlane='kafka'")],
  [{ discovery: 'mem', eventPlane: null }, refused('eventPlane', 'eventPlane=null')],
  [{ discovery: 'mem', system: {} }, refused('system.port', 'system.port=undefined')],
  [{ discovery: 'mem', system: true }, refused('system', 'system=true')],
  [{ discovery: 'mem', system: { port: 65_536 } }, refused('system.port', 'system.port=65536: expected a whole number from 0 to 65535', 65_535)],
  [{ discovery: 'mem', system: { port: 1.5 } }, refused('system.port', 'system.port=1.5')],
  [{ discovery: 'mem', system: { port: '80' } }, refused('system.port', "system.port='80'")],
  [{ discovery: 'mem', system: { port: 0, host: 5 } }, refused('system.host', 'system.host=5: expected a string')],
  [{ discovery: 'mem', drainMs: -1 }, refused('drainMs', 'drainMs=-1: expected a number from 0 to 2147483647', 0)],
  [{ discovery: 'mem', drainMs: NaN }, refused('drainMs', 'drainMs=NaN')],
  [{ discovery: 'mem', drainMs: Infinity }, refused('drainMs', 'drainMs=Infinity', 2_147_483_647)],
  [{ discovery: 'mem', drainMs: 2 ** 31 }, refused('drainMs', 'drainMs=2147483648', 2_147_483_647)],
  [{ discovery: 'mem', drainMs: '5' }, refused('drainMs', "drainMs='5'")],
  [{ discovery: 'mem', timeouts: 5 }, refused('timeouts', 'timeouts=5')],
  [{ discovery: 'mem', timeouts: { ackMs: 0 } }, refused('timeouts.ackMs', 'timeouts.ackMs=0: expected a number from 1 to 2147483647', 1)],
  [{ discovery: 'mem', timeouts: { callHomeMs: '10' } }, refused('timeouts.callHomeMs', "timeouts.callHomeMs='10'")],
  [{ discovery: 'mem', log: console.log }, refused('log', 'log=a function: expected an object')],
  [{ discovery: 'mem', log: { info() {} } }, refused('log.debug', 'log.debug=undefined: expected a function')],
  [{ discovery: 'mem', signal: {} }, refused('signal', 'signal=an object: expected an AbortSignal')],
])('connect(%o) is refused', async (options, error) => {
  await expect(DistributedRuntime.connect(options as ConnectOptions)).rejects.toEqual(error);
});

test.each<[string, string, unknown]>([
  ['DYN_TCP_RPC_PORT', 'nine', refused('DYN_TCP_RPC_PORT', "DYN_TCP_RPC_PORT='nine': expected a whole number from 0 to 65535")],
  ['DYN_TCP_RPC_PORT', '65536', refused('DYN_TCP_RPC_PORT', 'from 0 to 65535', 65_535)],
  ['DYN_TCP_RESPONSE_STREAM_PORT', '-1', refused('DYN_TCP_RESPONSE_STREAM_PORT', 'from 0 to 65535', 0)],
  ['DYN_SYSTEM_PORT', '-2', refused('DYN_SYSTEM_PORT', 'from -1 to 65535', -1)],
  ['DYN_SYSTEM_PORT', '1e3', refused('DYN_SYSTEM_PORT', "DYN_SYSTEM_PORT='1e3'")],
  ['DYN_TCP_MAX_MESSAGE_SIZE', '0', refused('DYN_TCP_MAX_MESSAGE_SIZE', 'from 1 to 4294967295', 1)],
  ['DYN_TCP_CONNECT_TIMEOUT', '0', refused('DYN_TCP_CONNECT_TIMEOUT', 'from 1 to 2147483', 1)],
  ['DYN_TCP_REQUEST_TIMEOUT', '2147484', refused('DYN_TCP_REQUEST_TIMEOUT', 'from 1 to 2147483', 2_147_483)],
  ['DYN_RUNTIME_GRACEFUL_SHUTDOWN_TIMEOUT_SECS', '-5', refused('DYN_RUNTIME_GRACEFUL_SHUTDOWN_TIMEOUT_SECS', 'from 0', 0)],
  ['DYN_ENGINE_REQUEST_LIMIT', '0', refused('DYN_ENGINE_REQUEST_LIMIT', 'from 1', 1)],
  ['DYN_CANARY_WAIT_TIME', '0', refused('DYN_CANARY_WAIT_TIME', 'from 1', 1)],
  ['DYN_HEALTH_CHECK_ENABLED', 'maybe', refused('DYN_HEALTH_CHECK_ENABLED', "DYN_HEALTH_CHECK_ENABLED='maybe': expected true or false")],
  ['DYN_HEALTH_CHECK_ENABLED', 'constructor', refused('DYN_HEALTH_CHECK_ENABLED', 'expected true or false')],
  ['DYN_SYSTEM_STARTING_HEALTH_STATUS', 'maybe', refused('DYN_SYSTEM_STARTING_HEALTH_STATUS', 'expected one of notready, ready')],
  ['DYN_DISCOVERY_BACKEND', 'bogus', refused('DYN_DISCOVERY_BACKEND', 'expected one of file, mem, etcd, kubernetes')],
  ['DYN_REQUEST_PLANE', 'http', refused('DYN_REQUEST_PLANE', 'expected one of tcp, nats')],
])('%s=%s is refused', (name, value, error) => {
  expect(() => settle({}, { [name]: value })).toThrow(error as Error);
});

test.each([
  ['DYN_SYSTEM_HEALTH_PATH', 'health'],
  ['DYN_SYSTEM_HEALTH_PATH', '/metrics'],
  ['DYN_SYSTEM_LIVE_PATH', '/engine/x'],
  ['DYN_SYSTEM_LIVE_PATH', '/a b'],
  ['DYN_SYSTEM_LIVE_PATH', '/'],
])('%s=%s is refused', (name, value) => {
  expect(() => settle({ discovery: 'mem' }, { DYN_SYSTEM_PORT: '0', [name]: value })).toThrow(refused(name, `${name}='${value}'`) as Error);
});

const paths: readonly [unknown, unknown][] = [
  ['', refused('path', "Invalid endpoint path ''. Expected format")],
  ['a.b', refused('path', "Invalid endpoint path 'a.b'")],
  ['a.b.c.d', refused('path', "Invalid endpoint path 'a.b.c.d'")],
  ['a/b/c', refused('path', "Invalid endpoint path 'a/b/c'")],
  ['dyn://a.b', refused('path', "Invalid endpoint path 'dyn://a.b'")],
  ['dyn://', refused('path', 'Invalid endpoint path')],
  [null, refused('path', 'path=null')],
  [undefined, refused('path', 'path=undefined')],
  [7, refused('path', 'path=7')],
  [['a', 'b', 'c'], refused('path', 'path=an array')],
];
const served: readonly [unknown, unknown][] = [
  ['a..c', refused('component', "component '' may hold only")],
  ['http://a.b.c', refused('namespace', "namespace 'http://a'")],
  ['a b.c.d', refused('namespace', "namespace 'a b'")],
  ['a.b/x.c', refused('component', "component 'b/x'")],
  ['a.b.%2e', refused('endpoint', "endpoint '%2e'")],
  ['ä.b.c', refused('namespace', "namespace 'ä'")],
  ['a.b.c\n', refused('endpoint', 'may hold only')],
  [`${'n'.repeat(100)}.${'c'.repeat(100)}.${'e'.repeat(31)}`, refused('path', 'names of 230 bytes together', 230)],
  [`a.b.${'_'.repeat(77)}`, refused('path', 'names of 230 bytes together', 230)],
];
const handler = async function* (): AsyncGenerator<number> {
  yield 1;
};

test.each([...paths, ...served])('serve(%o) is refused', async (bad, error) => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await expect(runtime.serve(bad as typeof path, handler)).rejects.toEqual(error);
});

test.each(paths)('client(%o) is refused', async (bad, error) => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await expect(runtime.client(bad as typeof path)).rejects.toEqual(error);
});

test('the longest names are served, also by files', async () => {
  vi.stubEnv('DYN_FILE_KV', (await import('node:fs')).mkdtempSync(`${(await import('node:os')).tmpdir()}/dynamo-names-`));
  await using runtime = await DistributedRuntime.connect({ discovery: 'file' });
  const longest = `${'n'.repeat(100)}.${'c'.repeat(100)}.${'e'.repeat(30)}` as const;
  expect((await runtime.serve(longest, handler)).instance.endpoint).toHaveLength(30);
  vi.unstubAllEnvs();
});

test.each<[unknown, unknown]>([
  [null, refused('options', 'options=null')],
  [{ drain: 1 }, refused('drain', 'drain=1: expected a boolean')],
  [{ input: 'items' }, refused('input', "input='items': expected one of item, stream")],
  [{ labels: { model: 5 } }, refused('labels.model', 'labels.model=5: expected a string')],
  [{ labels: 'model' }, refused('labels', "labels='model'")],
  [{ signal: 'stop' }, refused('signal', "signal='stop'")],
])('serve with %o is refused', async (options, error) => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await expect(runtime.serve(path, handler, options as ServeOptions)).rejects.toEqual(error);
});

test('a handler that is no function is refused, and so is a route of that kind', async () => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await expect(runtime.serve(path, 5 as never)).rejects.toEqual(refused('handler', 'handler=5: expected a function'));
  expect(() => runtime.route('x', undefined as never)).toThrow(refused('handler', 'handler=undefined') as Error);
  expect(() => runtime.route('', async () => 1)).toThrow(refused('name', "name=''") as Error);
});

test.each<[unknown, unknown]>([
  [null, refused('options', 'options=null')],
  [{ policy: 'fastest' }, refused('policy', "policy='fastest': expected one of round-robin, random")],
  [{ policy: 'constructor' }, refused('policy', "policy='constructor'")],
  [{ policy: '__proto__' }, refused('policy', "policy='__proto__'")],
  [{ policy: null }, refused('policy', 'policy=null')],
  [{ policy: {} }, refused('policy.pick', 'policy.pick=undefined')],
  [{ affinity: true }, refused('affinity', 'affinity=true')],
  [{ affinity: {} }, refused('affinity.ttlMs', 'affinity.ttlMs=undefined')],
  [{ affinity: { ttlMs: 5, mode: 'firm' } }, refused('affinity.mode', "affinity.mode='firm': expected one of hard, soft")],
])('client with %o is refused', async (options, error) => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await expect(runtime.client(path, options as ClientOptions)).rejects.toEqual(error);
});

test.each<[unknown, unknown]>([
  [null, refused('options', 'options=null')],
  [{ timeoutMs: 0 }, refused('timeoutMs', 'timeoutMs=0: expected a number from 1 to 2147483647', 1)],
  [{ timeoutMs: 2 ** 31 }, refused('timeoutMs', 'timeoutMs=2147483648', 2_147_483_647)],
  [{ firstItemMs: NaN }, refused('firstItemMs', 'firstItemMs=NaN')],
  [{ idleMs: '5' }, refused('idleMs', "idleMs='5'")],
  [{ id: 7 }, refused('id', 'id=7')],
  [{ instance: 7 }, refused('instance', 'instance=7: expected a bigint')],
  [{ instance: -1n }, refused('instance', 'instance=-1n: expected an unsigned 64-bit integer')],
  [{ instance: 1n << 64n }, refused('instance', 'expected an unsigned 64-bit integer')],
  [{ session: 7 }, refused('session', 'session=7')],
  [{ headers: { traceparent: 1 } }, refused('headers.traceparent', 'headers.traceparent=1')],
  [{ metadata: { a: null } }, refused('metadata.a', 'metadata.a=null')],
  [{ metadata: 'a=b' }, refused('metadata', "metadata='a=b'")],
  [{ signal: new AbortController() }, refused('signal', 'signal=an object: expected an AbortSignal')],
])('a call with %o is refused, and the next one goes through', async (options, error) => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await runtime.serve(path, handler);
  const client = await runtime.client<null, number>(path);
  await client.ready();
  await expect(collect(client.generate(null, options as CallOptions))).rejects.toEqual(error);
  expect(await collect(client.generate(null))).toEqual([1]);
});

test.each([0, 1.5, NaN, '1'])('waiting for %o instances is refused', async (min) => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const client = await runtime.client(path);
  await expect(client.ready({ min: min as number })).rejects.toEqual(refused('min', /^min=.*expected a whole number from 1/));
});
