import { expect, test } from 'vitest';
import { collect } from '../../async/pipe.ts';
import { DynamoError } from '../../error.ts';
import { openEndpointClient } from '../client.ts';
import { sentTo, stubWire } from '../testing/wire-stub.ts';
import type { CallOptions, RoutePolicy } from '../types.ts';

/** What a policy's test gives. */
export interface PolicyContract {
  /** A fresh policy; one that draws does so from a fixed seed. */
  readonly open: () => RoutePolicy;
  /** What a call must say for this policy, given the ids that may answer; nothing by default. */
  readonly call?: (ids: readonly bigint[], turn: number) => CallOptions;
  readonly skip: readonly { readonly case: string; readonly reason: string }[];
}

/** What every route policy promises, seen from the client that asks it. */
export function policyContract(contract: PolicyContract): void {
  async function open() {
    const broken = new Set<bigint>();
    const stage = stubWire((request) =>
      broken.has(sentTo(request)) ? new DynamoError('unavailable', 'Server unavailable: no', { data: { broken: true } }) : [1],
    );
    const client = openEndpointClient(stage.parts, 'demo.backend.generate', { policy: contract.open() });
    const calls = async (times: number, ids: readonly bigint[]): Promise<Map<bigint, number>> => {
      const first = stage.sent.length;
      for (let turn = 0; turn < times; turn++) await collect(client.generate(null, contract.call?.(ids, turn)));
      const counts = new Map<bigint, number>();
      for (const id of stage.sent.slice(first)) counts.set(id, (counts.get(id) ?? 0) + 1);
      return counts;
    };
    const shown = (...ids: bigint[]) => expect.poll(() => client.instances.map(({ id }) => id)).toEqual(ids);
    return {
      ...stage,
      client,
      calls,
      shown,
      broken,
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]();
        await stage[Symbol.asyncDispose]();
      },
    };
  }
  const check = (name: string, body: (stage: Awaited<ReturnType<typeof open>>) => Promise<void>): void => {
    const skipped = contract.skip.find((entry) => entry.case === name);
    test.skipIf(skipped !== undefined)(skipped === undefined ? name : `${name} (${skipped.reason})`, async () => {
      await using stage = await open();
      await body(stage);
    });
  };

  check('nobody there: the call fails at once by name, and works as soon as somebody is', async ({ client, calls, put, shown }) => {
    await expect(collect(client.generate(null))).rejects.toMatchObject({
      code: 'unavailable',
      message: 'No workers available for endpoint demo/backend/generate',
    });
    await put(7n);
    await shown(7n);
    expect(await calls(2, [7n])).toEqual(new Map([[7n, 2]]));
  });

  check('one instance gets everything', async ({ calls, put, shown }) => {
    await put(18446744073709551615n);
    await shown(18446744073709551615n);
    expect(await calls(10, [18446744073709551615n])).toEqual(new Map([[18446744073709551615n, 10]]));
  });

  check('one that leaves gets nothing more, and the others all of it', async ({ calls, put, shown }) => {
    const leaver = await put(1n);
    await put(2n);
    await put(3n);
    await shown(1n, 2n, 3n);
    await calls(4, [1n, 2n, 3n]);
    await leaver[Symbol.asyncDispose]();
    await shown(2n, 3n);
    const counts = await calls(40, [2n, 3n]);
    expect([...counts.keys()].sort()).toEqual([2n, 3n]);
    expect((counts.get(2n) ?? 0) + (counts.get(3n) ?? 0)).toBe(40);
  });

  check('one that joins gets its share', async ({ calls, put, shown }) => {
    await put(2n);
    await shown(2n);
    await calls(5, [2n]);
    await put(1n);
    await shown(1n, 2n);
    expect((await calls(40, [1n, 2n])).get(1n)).toBeGreaterThan(5);
  });

  check('four instances share evenly', async ({ calls, put, shown }) => {
    const ids = [1n, 2n, 3n, 4n];
    for (const id of ids) await put(id);
    await shown(...ids);
    const counts = await calls(400, ids);
    for (const id of ids) {
      expect(counts.get(id)).toBeGreaterThan(70);
      expect(counts.get(id)).toBeLessThan(130);
    }
  });

  check('one that is broken is left alone after its first failure', async ({ client, calls, put, shown, broken }) => {
    const ids = [1n, 2n, 3n];
    for (const id of ids) await put(id);
    await shown(...ids);
    broken.add(2n);
    let failures = 0;
    for (let turn = 0; turn < 30 && failures === 0; turn++) await collect(client.generate(null)).catch(() => failures++);
    expect(failures).toBe(1);
    expect([...(await calls(30, ids)).keys()].sort()).toEqual([1n, 3n]);
  });

  check('hundred calls at once all arrive', async ({ client, put, shown, sent }) => {
    const ids = [1n, 2n];
    for (const id of ids) await put(id);
    await shown(...ids);
    await Promise.all(Array.from({ length: 100 }, (_, turn) => collect(client.generate(null, contract.call?.(ids, turn)))));
    expect(sent).toHaveLength(100);
    expect(new Set(sent)).toEqual(new Set(ids));
  });
}
