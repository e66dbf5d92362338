import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Connector } from '../transfer/connector.ts';
import { Descriptor } from '../transfer/descriptor.ts';
import { Device } from '../transfer/device.ts';
import { decodeAgentMetadata, encodeAgentMetadata } from './agent-metadata.ts';
import { decodeDescriptor, decodeRdmaMetadata, encodeRdmaMetadata } from './rdma-metadata.ts';

const vector = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../../../vectors/nixl-connect/${name}.json`, import.meta.url), 'utf8'));

/** What the real connector answered. */
interface Answer {
  readonly ok?: string;
  readonly message?: string;
}

describe('devices', () => {
  test.each(Object.entries(vector('devices') as Record<string, Answer>))('%j', (text, real) => {
    const ours = (): string => {
      const device = new Device(text);
      const kind = { cpu: 1, cuda: 2, xpu: 3 }[device.kind];
      return `${device}|${kind}|${device.id}|${device.segment}`;
    };
    if (real.ok !== undefined) expect(ours()).toBe(real.ok);
    // The message of a number that is none comes from Python's int(); ours says what the format is.
    else expect(ours).toThrow("Argument `metadata` must be in the format 'cuda:<device_id>', 'xpu:<device_id>', or 'cpu'.");
  });
});

describe('metadata', () => {
  const samples = vector('metadata') as Record<
    string,
    { rdma_metadata: Record<string, unknown> & { nixl_metadata: string }; agent_metadata_hex: string }
  >;

  test.each(Object.entries(samples))('%s: read and written back byte for byte', (kind, { rdma_metadata: real, agent_metadata_hex: hex }) => {
    const text = JSON.stringify(real);
    const metadata = decodeRdmaMetadata(text);
    expect(metadata.kind).toBe(kind);
    expect(encodeRdmaMetadata(metadata)).toBe(text);
    const agent = decodeAgentMetadata(metadata.agent);
    expect(agent.scheme).toBe('nixl');
    expect(Buffer.from(agent.bytes).toString('hex')).toBe(hex);
    expect(decodeAgentMetadata(encodeAgentMetadata(agent)).bytes).toEqual(agent.bytes);
    const folded = deflateSync(agent.bytes).toString('hex');
    expect(decodeAgentMetadata(folded).bytes).toEqual(agent.bytes);
  });

  test.each(Object.entries(samples))('%s: a native peer is refused, never misread', async (kind, { rdma_metadata: real }) => {
    await using connector = new Connector();
    const metadata = decodeRdmaMetadata(JSON.stringify(real));
    const local = new Descriptor(new Uint8Array(64));
    const begin = (): unknown => (kind === 'read' ? connector.beginRead(metadata, local) : connector.beginWrite(local, metadata));
    expect(begin).toThrow('a native NIXL transfer is required');
  });

  test('a small text that unfolds without end, and texts that are none', () => {
    const bomb = `b64:${deflateSync(Buffer.alloc(64 * 1024 * 1024)).toString('base64')}`;
    for (const text of [bomb, 'b64:', 'b64:AAAA', 'abc', '', 'https://example.com']) {
      expect(() => decodeAgentMetadata(text)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
    }
  });
});

describe('errors', () => {
  const descriptor =
    (change: object): (() => unknown) =>
    () =>
      decodeDescriptor({ device: 'cpu', ptr: 4096, size: 8, ...change });
  const shared = { device: 'cpu', ptr: 4096n, size: 32 };
  const native = { descriptors: [shared], agent: 'b64:eJwDAAAAAAE=', notificationKey: 'k', kind: 'read' } as const;
  const metadata =
    (change: object): (() => unknown) =>
    () =>
      decodeRdmaMetadata(
        JSON.stringify({
          descriptors: [{ device: 'cpu', ptr: 1, size: 1 }],
          nixl_metadata: 'x',
          notification_key: 'k',
          operation_kind: 1,
          ...change,
        }),
      );
  const any = (value: unknown): never => value as never;

  /** How each case is asked of ours; `says` where the real message names a type of Python or comes from its library. */
  const cases: Record<string, { ask: () => unknown; says?: string; gives?: string }> = {
    'desc ptr 0': { ask: descriptor({ ptr: 0 }) },
    'desc size -1': { ask: descriptor({ size: -1 }) },
    'desc device tpu': { ask: descriptor({ device: 'tpu' }) },
    'desc device CUDA:1': { ask: () => decodeDescriptor({ device: 'CUDA:1', ptr: 4096, size: 8 }).device },
    'desc device host': { ask: descriptor({ device: 'host' }) },
    'desc extra': { ask: descriptor({ x: 1 }) },
    'meta kind 0': { ask: metadata({ operation_kind: 0 }), says: 'Argument `operation_kind` must be 1 (READ) or 2 (WRITE).' },
    'meta kind 4': { ask: metadata({ operation_kind: 4 }), says: 'Argument `operation_kind` must be 1 (READ) or 2 (WRITE).' },
    // Metadata that names nothing can't be used for anything: refused when it is read, not when it is used.
    'meta default': { ask: () => decodeRdmaMetadata('{}'), says: 'Request descriptor must contain at least one serialized descriptor.' },
    'meta empty to_descriptors': { ask: metadata({ descriptors: [] }) },
    'meta extra': { ask: metadata({ foo: 1 }) },
    // A third kind has no operation.
    'meta kind 3': { ask: metadata({ operation_kind: 3 }), says: 'Argument `operation_kind` must be 1 (READ) or 2 (WRITE).' },
    'descriptor None': { ask: () => new Descriptor(any(undefined)), says: 'Argument `data` must be memory or `{ ptr, size, device }`.' },
    'descriptor str': { ask: () => new Descriptor(any('text')), says: 'Argument `data` must be memory or `{ ptr, size, device }`.' },
    'descriptor int': { ask: () => new Descriptor(any(7)), says: 'Argument `data` must be memory or `{ ptr, size, device }`.' },
    'descriptor tuple': { ask: () => String(new Descriptor({ ptr: 0x1000n, size: 8, device: 'cpu' })) },
    'descriptor tuple2': { ask: () => String(new Descriptor({ ptr: 0x1000n, size: 8, device: 'cpu', keepAlive: {} })) },
    'descriptor tuple baddev': {
      ask: () => new Descriptor({ ptr: 0x1000n, size: 8, device: 'tpu' }),
      says: "Argument `metadata` must be in the format 'cuda:<device_id>', 'xpu:<device_id>', or 'cpu'.",
    },
    'connector empty': { ask: () => new Connector({ workerId: '' }), says: 'Argument `workerId` must be a non-empty string or undefined.' },
    'connector int': { ask: () => new Connector({ workerId: any(7) }), says: 'Argument `workerId` must be a non-empty string or undefined.' },
    'connector eq': { ask: () => (new Connector({ workerId: 'a' }).workerId === new Connector({ workerId: 'a' }).workerId ? 'True' : 'False') },
    'hex form is hex of zlib': {
      ask: () =>
        Buffer.from(decodeAgentMetadata(deflateSync(Buffer.from('agent')).toString('hex')).bytes).toString() === 'agent' ? 'True' : 'False',
    },
    'begin_write on READ metadata': { ask: () => new Connector().beginWrite(new Descriptor(new Uint8Array(32)), native) },
    'begin_read non metadata': { ask: () => decodeRdmaMetadata('7'), says: 'metadata must be a JSON object' },
    'begin_read no descriptor': {
      ask: () => new Connector().beginRead(native, any(undefined)),
      says: 'Argument `local` must be a `Descriptor` or a list of them.',
    },
    'create_readable empty list': { ask: () => new Connector().beginRead(native, []), says: 'Argument `local` must not be an empty list.' },
    'create_readable None': {
      ask: () => new Connector().beginRead(native, any(undefined)),
      says: 'Argument `local` must be a `Descriptor` or a list of them.',
    },
    'begin_read size mismatch (32 vs 16)': {
      ask: () => new Connector().beginRead({ ...native, descriptors: [{ ...shared, size: 16 }] }, new Descriptor(new Uint8Array(32))),
    },
  };
  const real = vector('errors') as Record<string, Answer>;
  /** States of operations, in transfer.contract.ts; a cancelled complete operation stays complete (docs/decisions). */
  const elsewhere = ['results before completion', 'after read', 'readable after', 'cancel after done'];

  test('every captured case is asked', () => {
    expect([...Object.keys(cases), ...elsewhere].toSorted()).toEqual(Object.keys(real).toSorted());
  });

  test.each(Object.entries(cases))('%s', (name, { ask, says }) => {
    const { ok, message } = real[name] as Answer;
    if (says !== undefined) expect(ask).toThrow(says);
    else if (ok !== undefined) expect(ask()).toBe(ok);
    else {
      // The library that checks the real classes puts its own words around the sentence, which is the third line.
      const line = (message as string).split('\n').at(2) ?? (message as string);
      const sentence = line.replace(/^ *(?:Value error, )?/, '').replace(/ \[type=.*$/, '');
      expect(ask).toThrow(sentence);
    }
  });
});
