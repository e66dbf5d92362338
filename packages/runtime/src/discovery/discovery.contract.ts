import { expect, test } from 'vitest';
import type { Discovery, DiscoveryChange, DiscoveryRecord } from './discovery.ts';

/** What a backend's test gives: two runtimes that see each other. */
export interface DiscoveryContract {
  readonly open: () => Promise<{ a: Discovery; b: Discovery } & AsyncDisposable>;
  readonly skip: readonly { readonly case: string; readonly reason: string }[];
}

const record = (key: string, more = ''): DiscoveryRecord => ({ bucket: 'v1/instances', key, value: `{"type":"Endpoint","more":"${more}"}` });

/** Reads a watch into a map until `enough` holds, and returns the map. */
async function until(changes: AsyncIterable<DiscoveryChange>, enough: (state: Map<string, string>) => boolean): Promise<Map<string, string>> {
  const state = new Map<string, string>();
  for await (const change of changes) {
    if (change.type === 'snapshot') for (const found of change.records) state.set(found.key, found.value);
    else if (change.type === 'put') state.set(change.record.key, change.record.value);
    else state.delete(change.key);
    if (enough(state)) return state;
  }
  throw new Error('the watch ended');
}

/** What every discovery backend promises. */
export function discoveryContract(contract: DiscoveryContract): void {
  const check = (name: string, body: (pair: { a: Discovery; b: Discovery }) => Promise<void>): void => {
    const skipped = contract.skip.find((entry) => entry.case === name);
    test.skipIf(skipped !== undefined)(skipped === undefined ? name : `${name} (${skipped.reason})`, async () => {
      await using pair = await contract.open();
      await body(pair);
    });
  };

  check('a record is listed by others until it is withdrawn', async ({ a, b }) => {
    const put = await a.put(record('n/c/e/1'));
    expect(await b.list({ bucket: 'v1/instances' })).toEqual([record('n/c/e/1')]);
    expect(await b.list({ bucket: 'v1/mdc' })).toEqual([]);
    await put[Symbol.asyncDispose]();
    await put[Symbol.asyncDispose]();
    expect(await b.list({ bucket: 'v1/instances' })).toEqual([]);
  });

  check('a prefix ends at a segment', async ({ a, b }) => {
    for (const key of ['n/c/generate/1', 'n/c/generate2/1', 'n/c2/generate/1']) await a.put(record(key));
    const keys = async (prefix: string): Promise<string[]> => (await b.list({ bucket: 'v1/instances', prefix })).map((found) => found.key).sort();
    expect(await keys('n/c/generate')).toEqual(['n/c/generate/1']);
    expect(await keys('n/c')).toEqual(['n/c/generate/1', 'n/c/generate2/1']);
    expect(await keys('n')).toHaveLength(3);
  });

  check('of two writers of one key the second fails', async ({ a, b }) => {
    await a.put(record('n/c/e/1', 'first'));
    await expect(b.put(record('n/c/e/1', 'second'))).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await b.list({ bucket: 'v1/instances' })).toEqual([record('n/c/e/1', 'first')]);
  });

  check('a watch begins with the picture and goes on with the changes', async ({ a, b }) => {
    const first = await a.put(record('n/c/e/1'));
    const stop = new AbortController();
    const watch = b.watch({ bucket: 'v1/instances', prefix: 'n/c/e' }, { signal: stop.signal })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toEqual({ type: 'snapshot', records: [record('n/c/e/1')] });
    await a.put(record('n/c/e/2'));
    expect((await watch.next()).value).toEqual({ type: 'put', record: record('n/c/e/2') });
    await first[Symbol.asyncDispose]();
    expect((await watch.next()).value).toEqual({ type: 'delete', bucket: 'v1/instances', key: 'n/c/e/1' });
    stop.abort();
    expect(await watch.next()).toEqual({ value: undefined, done: true });
  });

  check('a hundred quick changes lead to the state that a list shows', async ({ a, b }) => {
    const stop = new AbortController();
    const settled = until(
      b.watch({ bucket: 'v1/instances' }, { signal: stop.signal }),
      (state) => state.size === 50 && [...state.keys()].every((key) => Number(key.split('/')[3]) % 2 === 1),
    );
    const puts = await Promise.all(Array.from({ length: 100 }, (_, index) => a.put(record(`n/c/e/${index}`))));
    await Promise.all(puts.filter((_, index) => index % 2 === 0).map((put) => put[Symbol.asyncDispose]()));
    const listed = (await b.list({ bucket: 'v1/instances' })).map((found) => found.key).sort();
    expect([...(await settled).keys()].sort()).toEqual(listed);
    stop.abort();
  });

  check('a watch whose signal has aborted already ends at once', async ({ b }) => {
    const changes: DiscoveryChange[] = [];
    for await (const change of b.watch({ bucket: 'v1/mdc' }, { signal: AbortSignal.abort() })) changes.push(change);
    expect(changes).toEqual([]);
  });

  check('what a runtime has put goes when it is disposed, and disposing twice is fine', async ({ a, b }) => {
    await a.put(record('n/c/e/1'));
    await Promise.all([a[Symbol.asyncDispose](), a[Symbol.asyncDispose]()]);
    expect(await b.list({ bucket: 'v1/instances' })).toEqual([]);
  });

  check('hostile keys are kept exactly', async ({ a, b }) => {
    const keys = ['../../etc/passwd', 'n/%2F/..', '__proto__/constructor', 'é/日本/😀', 'a b/c:d'];
    for (const key of keys) await a.put(record(key));
    expect((await b.list({ bucket: 'v1/instances' })).map((found) => found.key).sort()).toEqual(keys.toSorted());
  });

  const value = (key: string, text: string): DiscoveryRecord => ({ bucket: 'values', key: `v1/${key}`, value: text });

  check('a plain value is written over by anybody, and goes with who wrote it last', async ({ a, b }) => {
    const values = async (prefix: string): Promise<string[]> =>
      (await b.list({ bucket: 'values', prefix })).map((found) => `${found.key}=${found.value}`).sort();
    await a.put(record('n/c/e/1'));
    await a.set(value('n/planner/decision_id', '0'));
    await a.set(value('n/planner/workers', 'abc'));
    await a.set(value('n/planner2/workers', '9'));
    expect(await values('v1/n/planner')).toEqual(['v1/n/planner/decision_id=0', 'v1/n/planner/workers=abc']);
    await a.set(value('n/planner/decision_id', '1'));
    await b.set(value('n/planner/workers', ''));
    expect(await values('v1/n/planner')).toEqual(['v1/n/planner/decision_id=1', 'v1/n/planner/workers=']);
    await a[Symbol.asyncDispose]();
    expect(await values('v1/n/planner')).toEqual(['v1/n/planner/workers=']);
    await expect(b.set(record('n/c/e/1'))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  check('a watch of plain values sees each that stands', async ({ a, b }) => {
    const stop = new AbortController();
    const watch = b.watch({ bucket: 'values', prefix: 'v1//planner' }, { signal: stop.signal })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toEqual({ type: 'snapshot', records: [] });
    for (const text of ['7', '8', 'x']) {
      await a.set(value('/planner/decision_id', text));
      expect((await watch.next()).value).toEqual({ type: 'put', record: value('/planner/decision_id', text) });
    }
    await a[Symbol.asyncDispose]();
    expect((await watch.next()).value).toEqual({ type: 'delete', bucket: 'values', key: 'v1//planner/decision_id' });
    stop.abort();
    expect(await watch.next()).toEqual({ value: undefined, done: true });
  });
}
