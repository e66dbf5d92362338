import { once } from 'node:events';
import { connect } from 'node:net';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callOnce, callStream } from './testing/calls.ts';
import { type Asked, type AskedTensor, decodeAnswer, decodeStreamAnswer, encodeAsked } from './testing/client-messages.ts';
import { openScene, type Scene } from './testing/scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await openScene({ bodyLimitMb: 1 });
});
afterAll(() => scene[Symbol.asyncDispose]());

const x = (values: readonly number[], more: Partial<AskedTensor> = {}): AskedTensor => ({
  name: 'x',
  datatype: 'INT32',
  shape: [values.length],
  contents: { int: [...values] },
  ...more,
});
const bare = (datatype: string, shape: readonly number[]): AskedTensor => ({ name: 'x', datatype, shape });
const raw = (datatype: string, shape: readonly number[], bytes: readonly number[]): Asked => ({
  model: 'tensor',
  inputs: [bare(datatype, shape)],
  raw: [Uint8Array.from(bytes)],
});
const text: AskedTensor = { name: 'text_input', datatype: 'BYTES', shape: [1], contents: { bytes: [Buffer.from('hi')] } };
const bareText: AskedTensor = { name: 'text_input', datatype: 'BYTES', shape: [1] };
const flag: AskedTensor = { name: 'stream', datatype: 'BOOL', shape: [1], contents: { bool: [true] } };
const ofText = (...inputs: AskedTensor[]): Asked => ({ model: 'text', inputs });
const ofTensors = (...inputs: AskedTensor[]): Asked => ({ model: 'tensor', inputs });
const doing = (op: string): Asked => ({ model: 'tensor', strings: { op }, inputs: [x([1])] });

/** Sent whole, each with its status and a part of what it says. All but the marked ones are equal to what 1.6.1 says. */
const refused: readonly (readonly [string, Asked, keyof typeof status, string])[] = [
  ['an unknown model', { model: 'nope', inputs: [] }, 'NOT_FOUND', "Model 'nope' not found"],
  ['no model', { model: '', inputs: [] }, 'NOT_FOUND', "Model '' not found"],
  ['a unary call with stream set', ofText(text, flag), 'INVALID_ARGUMENT', 'Streaming is not supported for this endpoint'],
  ['a text of two dimensions', ofText({ ...text, shape: [1, 1, 1] }), 'INVALID_ARGUMENT', "Expected 'text_input' to have shape [1], got [1, 1, 1]"],
  ['a text without a shape', ofText({ ...text, shape: [] }), 'INVALID_ARGUMENT', "Expected 'text_input' to have shape [1], got []"],
  ['a text that is none', ofText({ ...text, contents: { int: [1] } }), 'INVALID_ARGUMENT', "'text_input' must contain exactly one element"],
  ['a text that is not there', ofText(bareText), 'INVALID_ARGUMENT', "Missing raw input for 'text_input'"],
  ['a flag of another type', ofText(text, { ...flag, datatype: 'BYTES' }), 'INVALID_ARGUMENT', "Expected 'stream' to be of type BOOL"],
  ['two flags', ofText(text, { ...flag, shape: [2] }), 'INVALID_ARGUMENT', "Expected 'stream' to have shape [1], got [2]"],
  [
    'raw bytes for some',
    { ...ofText(bareText, flag), raw: [Buffer.from('hi')] },
    'INVALID_ARGUMENT',
    '`raw_input_contents` must be used for all inputs',
  ],
  ['a raw text of two bytes', { ...ofText(bareText), raw: [Buffer.from('hi')] }, 'INVALID_ARGUMENT', 'must be length-prefixed'],
  // 1.6.1 takes half a text for a whole one.
  ['half a raw text', { ...ofText(bareText), raw: [Buffer.from('\x09\0\0\0hi')] }, 'INVALID_ARGUMENT', 'says that it has 9 bytes but has 2'],
  // 1.6.1 asks the worker to go on from nothing.
  ['an empty text', ofText({ ...text, contents: { bytes: [Buffer.alloc(0)] } }), 'INVALID_ARGUMENT', 'Prompt string cannot be empty'],
  ['too few values', ofTensors(x([1, 2], { shape: [3] })), 'INVALID_ARGUMENT', 'tensors[0].shape: shape implies 3 elements but data has 2'],
  [
    'values of another type',
    ofTensors(x([], { shape: [1], contents: { fp32: [1] } })),
    'INVALID_ARGUMENT',
    'shape implies 1 elements but data has 0',
  ],
  // 1.6.1 dies of it.
  ['no values', ofTensors(bare('INT32', [1])), 'INVALID_ARGUMENT', 'shape implies 1 elements but data has 0'],
  ['a size below zero', ofTensors(x([1], { shape: [-1] })), 'INVALID_ARGUMENT', 'only -1 is allowed as a wildcard dimension'],
  ['a shape without end', ofTensors(x([1], { shape: [2 ** 62, 2 ** 62] })), 'INVALID_ARGUMENT', 'shape implies 18446744073709551615 elements'],
  ['an unknown type', ofTensors(x([1], { datatype: 'WHAT' })), 'INVALID_ARGUMENT', 'Invalid data type'],
  ['halves that are not raw', ofTensors(x([1], { datatype: 'FP16' })), 'INVALID_ARGUMENT', 'must be sent via `raw_input_contents`'],
  // 1.6.1 keeps the low bits.
  ['a number too large', ofTensors(x([300], { datatype: 'INT8' })), 'INVALID_ARGUMENT', 'value 0 is no INT8'],
  ['raw bytes that end early', raw('INT32', [1], [1, 0, 0]), 'INVALID_ARGUMENT', 'Raw input length must be a multiple of 4'],
  ['raw bytes that go on', raw('INT32', [1], [1, 0, 0, 0, 2, 0, 0, 0]), 'INVALID_ARGUMENT', 'expected 1 elements, got 2 elements'],
  ['a raw size below zero', raw('INT32', [-5], [1, 0, 0, 0]), 'INVALID_ARGUMENT', 'Shape contains negative dimension: -5'],
  ['raw texts that end early', raw('BYTES', [1], [7, 0, 0, 0, 97]), 'INVALID_ARGUMENT', 'length exceeds raw input size'],
  ['raw texts with a rest', raw('BYTES', [1], [1, 0, 0, 0, 97, 9]), 'INVALID_ARGUMENT', 'extra bytes at the end'],
  ['an engine that fails', doing('raise'), 'INTERNAL', 'Failed to fold completions stream: Internal: RangeError: scripted boom'],
  ['an engine that says nothing', doing('none'), 'INTERNAL', 'Failed to fold completions stream: No response received'],
  ['an engine that says too much', doing('twice'), 'INTERNAL', 'Multiple responses in non-streaming mode'],
  ['an engine that miscounts', doing('miscount'), 'INTERNAL', "of the engine's answer has a shape for 3 values but 2"],
  ['an engine whose value does not fit', doing('misfit'), 'INTERNAL', "of the engine's answer has a value that is no INT8"],
];

const isAlive = async (): Promise<boolean> => (await callOnce(scene.client, 'ServerLive', Buffer.alloc(0))).message?.toString('hex') === '0801';

describe('what is wrong with a request is told', () => {
  test.for(refused)('%s', async ([, asked, code, details]) => {
    const { error } = await callOnce(scene.client, 'ModelInfer', encodeAsked(asked));
    expect(error).toMatchObject({ code: status[code], details: expect.stringContaining(details) });
  });

  test('a message that is cut off anywhere', async () => {
    const whole = encodeAsked({ model: 'tensor', id: 'some id', strings: { tell: 'me' }, inputs: [x([1, 2, 300])], raw: [] });
    const codes = new Set<number>();
    for (let length = 0; length < whole.length; length++) {
      const { error } = await callOnce(scene.client, 'ModelInfer', whole.subarray(0, length));
      codes.add(error?.code ?? status.OK);
    }
    expect([...codes].toSorted((a, b) => a - b)).toEqual([status.OK, status.NOT_FOUND, status.INTERNAL]);
    expect(await isAlive()).toBe(true);
  });

  test.for(['ModelReady', 'ModelMetadata', 'ModelConfig', 'ModelInfer'])('bytes that are no message, for %s', async (method) => {
    const { error } = await callOnce(scene.client, method, Buffer.from('ffffffffffffffffffffffff', 'hex'));
    expect(error).toMatchObject({ code: status.INTERNAL, details: expect.stringContaining('failed to decode Protobuf message') });
  });

  test('a message beyond the limit', async () => {
    const { error } = await callOnce(scene.client, 'ModelInfer', Buffer.alloc(1_100_000));
    expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(await isAlive()).toBe(true);
  });

  test('a peer that speaks something else', async () => {
    const [host = '', port = ''] = scene.frontend.grpcAddress.split(':');
    const socket = connect(Number(port), host);
    socket.on('error', () => undefined);
    socket.end('GET / HTTP/1.1\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    expect(await isAlive()).toBe(true);
  });
});

describe('streams', () => {
  test('what an engine says of its failure is a message, and the stream goes on', async () => {
    const { messages, error } = await callStream(scene.client, [encodeAsked(doing('raise')), encodeAsked({ ...doing('twice'), id: 'b' })]);
    expect(error).toBeUndefined();
    expect(messages.map(decodeStreamAnswer)).toMatchObject([{ error: 'Internal: RangeError: scripted boom' }, { id: 'b' }, { id: 'b' }]);
  });

  test('a request that is wrong ends it, after the answers before', async () => {
    const { messages, error } = await callStream(scene.client, [
      encodeAsked(doing('echo')),
      encodeAsked(ofTensors(bare('INT32', [1]))),
      encodeAsked(doing('echo')),
    ]);
    expect(messages.length).toBe(1);
    expect(error?.code).toBe(status.INVALID_ARGUMENT);
  });

  test('requests are answered in their order, with and without the flag', async () => {
    const asked = [ofText(text), ofText(text, flag)].map((request, index) => encodeAsked({ ...request, id: String(index) }));
    const { messages } = await callStream(scene.client, asked);
    expect(
      messages
        .map((message) => decodeStreamAnswer(message))
        .map((answer) => ('error' in answer ? answer : [answer.id, answer.outputs.map(({ texts }) => texts[0])])),
    ).toEqual([
      ['0', ['hi', 'stop']],
      ['1', ['h', '']],
      ['1', ['i', '']],
      ['1', ['', 'stop']],
    ]);
  });

  test('a stream without requests ends well', async () => {
    expect(await callStream(scene.client, [])).toEqual({ messages: [] });
  });
});

test('halves that an engine answers are raw, whatever the request was', async () => {
  const { message } = await callOnce(scene.client, 'ModelInfer', encodeAsked(raw('FP16', [2], [0, 0x3c, 0, 0x40])));
  expect(decodeAnswer(message as Buffer)).toMatchObject({ outputs: [{ datatype: 'FP16', shape: [2n] }], raw: [Buffer.from([0, 0x3c, 0, 0x40])] });
  expect(scene.asked.at(-1)?.tensors[0]?.values).toEqual([0x3c00, 0x4000]);
});
