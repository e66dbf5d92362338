import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import type { Discovery, DiscoveryRecord } from '../discovery/discovery.ts';
import { mem } from '../discovery/mem/index.ts';
import { encodeInstance } from '../wire/discovery-record.ts';
import { Component, escapeSegment, Namespace } from './component.ts';

const record = (path: string, id: bigint): DiscoveryRecord => {
  const [namespace = '', component = '', endpoint = ''] = path.split('.');
  return encodeInstance({ id, namespace, component, endpoint, transport: { tcp: `127.0.0.1:1/${id}` }, codec: 'msgpack' });
};

const shown = (instances: readonly { component: string; endpoint: string; id: bigint }[]): string[] =>
  instances.map(({ component, endpoint, id }) => `${component}.${endpoint}.${id}`);

test('subjects, scopes and services have the forms of the wire', () => {
  const namespace = new Namespace({ discovery: mem() }, 'nsn');
  const component = namespace.component('backend');
  expect(component).toBeInstanceOf(Component);
  expect([namespace.subject, component.subject]).toEqual(['namespace.nsn', 'namespace.nsn.component.backend']);
  expect([namespace.scopePath, component.scopePath]).toEqual(['namespace/nsn', 'namespace/nsn/component/backend']);
  expect(component.service).toBe('nsn_backend');
  expect(component.requestSubject('generate', 0xbacbf7b40a7123b5n)).toBe('nsn_backend.generate-bacbf7b40a7123b5');
  expect(component.endpoint('generate')).toBe('nsn.backend.generate');
  const odd = new Namespace({ discovery: mem() }, 'My Ns.é😀').component('a/b');
  expect(odd.scopePath).toBe('namespace/My%20Ns%2E%C3%A9%F0%9F%98%80/component/a%2Fb');
  expect(odd.service).toBe('my_ns____a_b');
  expect(escapeSegment('Az09-_')).toBe('Az09-_');
});

test('labels name the scope', () => {
  const component = new Namespace({ discovery: mem() }, 'ns').component('backend');
  expect(component.namespace.labels).toEqual({ dynamo_namespace: 'ns' });
  expect(component.labels()).toEqual({ dynamo_namespace: 'ns', dynamo_component: 'backend' });
  expect(component.labels('generate')).toEqual({ dynamo_namespace: 'ns', dynamo_component: 'backend', dynamo_endpoint: 'generate' });
  const odd = new Namespace({ discovery: mem() }, '9abc').component('a-b');
  expect(odd.labels('é1')).toEqual({ dynamo_namespace: '_9abc', dynamo_component: 'a_b', dynamo_endpoint: '_1' });
});

test('lists what is in its scope and nothing of a longer name, ids beyond 2^63 in order', async () => {
  await using discovery = mem();
  const wide = 13460124263968220085n;
  for (const [path, id] of [
    ['ns.backend.generate', wide],
    ['ns.backend.generate', 7n],
    ['ns.backend.generate2', 8n],
    ['ns.backend.clear', 7n],
    ['ns.backend2.generate', 9n],
    ['ns2.backend.generate', 10n],
  ] as const)
    await discovery.put(record(path, id));
  await discovery.put({ bucket: 'v1/instances', key: 'ns/backend/generate/bad', value: '{"type":"Other"}' });
  const namespace = new Namespace({ discovery }, 'ns');
  const backend = namespace.component('backend');
  expect(shown(await backend.instances({ endpoint: 'generate' }))).toEqual(['backend.generate.7', `backend.generate.${wide}`]);
  expect(shown(await backend.instances())).toEqual(['backend.clear.7', 'backend.generate.7', `backend.generate.${wide}`, 'backend.generate2.8']);
  expect(shown(await namespace.instances())).toHaveLength(5);
  expect(await namespace.component('nobody').instances()).toEqual([]);
});

test('a watch that is done: each change gives a new picture, the signal ends it without a listener left', async () => {
  await using discovery = mem();
  const abort = new AbortController();
  const component = new Namespace({ discovery }, 'ns').component('backend');
  const pictures: string[][] = [];
  let second: AsyncDisposable | undefined;
  await discovery.put(record('ns.backend.generate', 1n));
  for await (const instances of component.watch({ signal: abort.signal, endpoint: 'generate' })) {
    pictures.push(shown(instances));
    if (pictures.length === 1) second = await discovery.put(record('ns.backend.generate', 2n));
    if (pictures.length === 2) await second?.[Symbol.asyncDispose]();
    if (pictures.length === 3) abort.abort();
  }
  expect(pictures).toEqual([['backend.generate.1'], ['backend.generate.1', 'backend.generate.2'], ['backend.generate.1']]);
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
});

test('a watch that is left: the backend stops watching', async () => {
  await using discovery = mem();
  const abort = new AbortController();
  for await (const instances of new Namespace({ discovery }, 'ns').watch({ signal: abort.signal })) {
    expect(instances).toEqual([]);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1);
    break;
  }
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
});

test("a watch that throws: the backend's error comes through, after the pictures before it", async () => {
  const discovery: Discovery = {
    ...mem(),
    async *watch() {
      yield { type: 'snapshot', records: [record('ns.backend.generate', 1n)] };
      yield { type: 'put', record: { bucket: 'v1/instances', key: 'ns/backend/generate/x', value: 'no json' } };
      throw new Error('gone');
    },
  };
  const pictures: string[][] = [];
  const reading = (async () => {
    for await (const instances of new Namespace({ discovery }, 'ns').watch({ signal: new AbortController().signal })) pictures.push(shown(instances));
  })();
  await expect(reading).rejects.toThrow('gone');
  expect(pictures).toEqual([['backend.generate.1']]);
});
