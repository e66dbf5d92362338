import type { HandlerContext } from '@dynamo/runtime';
import { batchesOf, decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import type { Tensors } from '../model/tensor-types.ts';
import { tensorHandler } from './tensors.ts';

const through = async (wire: unknown, engine: (request: Tensors) => AsyncGenerator<Tensors>): Promise<unknown[]> => {
  const items: unknown[] = [];
  for await (const batch of batchesOf(tensorHandler(engine)(decodeMsgpack(encodeMsgpack(wire)) as never, {} as HandlerContext))) items.push(...batch);
  return items.map((item) => decodeMsgpack(encodeMsgpack(item)));
};

const wireTensor = (type: string, values: readonly unknown[]) => ({
  metadata: { name: type, data_type: type, shape: [values.length] },
  data: { data_type: type, values },
});
const asked = {
  id: null,
  model: 'm',
  tensors: [
    wireTensor('Bool', [true, false]),
    wireTensor('Uint8', [0, 255]),
    wireTensor('Int32', [-(2 ** 31), 2 ** 31 - 1]),
    wireTensor('Int64', [-1, 2n ** 63n - 1n]),
    wireTensor('Uint64', [1, 2n ** 64n - 1n]),
    wireTensor('Float16', [0x3c00, 0xffff]),
    wireTensor('Float32', [0.5, -1]),
    wireTensor('Float64', [0.1, Infinity]),
    wireTensor('Bytes', [[97, 255], []]),
  ],
  parameters: { s: { string: 'v' }, b: { bool: true }, i: { int64: -3 }, u: { uint64: 2n ** 64n - 1n }, d: { double: 1.5 } },
};

test('an engine gets plain values of every type, and what it gives back is what came', async () => {
  let seen: Tensors | undefined;
  const [answer] = await through(asked, async function* (request) {
    seen = request;
    yield request;
  });
  expect(seen?.tensors.map(({ datatype, values }) => [datatype, values])).toEqual([
    ['BOOL', [true, false]],
    ['UINT8', [0, 255]],
    ['INT32', [-(2 ** 31), 2 ** 31 - 1]],
    ['INT64', [-1n, 2n ** 63n - 1n]],
    ['UINT64', [1n, 2n ** 64n - 1n]],
    ['FP16', [0x3c00, 0xffff]],
    ['FP32', [0.5, -1]],
    ['FP64', [0.1, Infinity]],
    ['BYTES', [Uint8Array.of(97, 255), new Uint8Array()]],
  ]);
  expect(seen?.parameters).toEqual({ s: 'v', b: true, i: -3n, u: 2n ** 64n - 1n, d: 1.5 });
  const { id: _, ...same } = asked;
  expect(answer).toEqual(same);
});

test('answers may hold typed arrays', async () => {
  const [answer] = await through(asked, async function* () {
    yield {
      tensors: [
        { name: 'a', datatype: 'FP32', shape: [1, 2], values: Float32Array.of(1, 2.5) },
        { name: 'b', datatype: 'INT64', shape: [1], values: BigInt64Array.of(-7n) },
      ],
    };
  });
  expect(answer).toMatchObject({ model: 'm', tensors: [{ data: { values: [1, 2.5] } }, { data: { data_type: 'Int64', values: [-7] } }] });
});

test.each([
  [[{ name: 'y', datatype: 'INT32', shape: [2], values: [1] }], 'has a shape for 2 values but 1'],
  [[{ name: 'y', datatype: 'UINT8', shape: [1], values: [-1] }], 'has a value that is no UINT8'],
  [[{ name: 'y', datatype: 'BYTES', shape: [1], values: ['text'] }], 'has a value that is not bytes'],
  [[{ name: 'y', datatype: 'INT4', shape: [0], values: [] }], "has the unknown datatype 'INT4'"],
])('an answer that is not what it says: %j', async (tensors, message) => {
  const answering = through(asked, async function* () {
    yield { tensors } as unknown as Tensors;
  });
  await expect(answering).rejects.toMatchObject({ code: 'unknown', origin: 'backend', message: expect.stringContaining(message) });
});

test.each([[null], [{}], [{ tensors: [null] }], [{ tensors: [{ metadata: { shape: [] }, data: { data_type: 'Int4', values: [] } }] }]])(
  'a request that is none: %j',
  async (wire) => {
    await expect(through(wire, async function* () {})).rejects.toMatchObject({ code: 'invalid_argument' });
  },
);
