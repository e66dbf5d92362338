import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DynamoError } from '../error.ts';
import { decodeEnvelope, envelopeWriter } from './event-envelope.ts';
import { decodeEventFrames, eventFramesWriter } from './event-frames.ts';
import {
  decodeEventChannel,
  decodeEventSource,
  encodeEventChannel,
  encodeEventSource,
  eventSubject,
  publisherOfKey,
  scopePath,
  subjectPrefix,
  topicPath,
} from './event-record.ts';
import { decodeMsgpack, encodeMsgpack } from './msgpack.ts';

const lines = (name: string): any[] =>
  readFileSync(new URL(`../../../../vectors/runtime/${name}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

const zmqCaptures = [...lines('zmq-events.jsonl'), ...lines('zmq-kv-events.jsonl')].map((line) => ({
  ...line,
  frames: line.frames_hex.map(hex) as Buffer[],
}));
const natsCaptures = lines('nats-events.jsonl').map((line) => ({ ...line, bytes: hex(line.data_hex) }));

test('the captures are there', () => {
  expect(zmqCaptures.length).toBeGreaterThan(5);
  expect(natsCaptures.length).toBeGreaterThan(5);
});

test.each(zmqCaptures.map((capture, index) => [index, capture.topic, capture] as const))(
  'ZMQ message %i (%s): read, written again byte by byte',
  (_, topic, { frames, envelope }) => {
    const event = decodeEventFrames(frames);
    expect(event).toMatchObject({
      publisher: BigInt(envelope.publisher_id),
      sequence: envelope.sequence,
      publishedAt: Number(envelope.published_at),
      topic,
    });
    const written = eventFramesWriter({ routing: topic, publisher: event.publisher, topic })(event);
    expect(written.map((frame) => frame.toString('hex'))).toEqual(frames.map((frame: Buffer) => frame.toString('hex')));
    // The payload is MessagePack of its own, and our codec writes it as the real one does.
    expect(Buffer.from(encodeMsgpack(decodeMsgpack(event.payload))).length).toBeLessThanOrEqual(event.payload.length);
  },
);

test.each(natsCaptures.map((capture, index) => [index, capture.subject, capture] as const))(
  'NATS message %i (%s): read, written again byte by byte',
  (_, subject, { bytes, envelope }) => {
    const event = decodeEnvelope(bytes);
    expect(event).toMatchObject({
      publisher: BigInt(envelope.publisher_id),
      sequence: envelope.sequence,
      publishedAt: Number(envelope.published_at),
    });
    expect(envelopeWriter(event.publisher, event.topic)(event).toString('hex')).toBe(bytes.toString('hex'));
    const [, namespace = '', , component = '', , endpoint = ''] = subject.split('.');
    expect(eventSubject({ namespace, component, endpoint }, event.topic)).toBe(subject);
  },
);

const envelopes = fc.record({
  publisher: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  sequence: fc.maxSafeNat(),
  publishedAt: fc.maxSafeNat(),
  topic: fc.string({ unit: 'grapheme', maxLength: 80 }),
  payload: fc.uint8Array({ maxLength: 400 }),
});

test('what is written is what a general codec writes, and is read again', () => {
  fc.assert(
    fc.property(envelopes, (event) => {
      const bytes = envelopeWriter(event.publisher, event.topic)(event);
      const { publisher: publisher_id, sequence, publishedAt: published_at, topic, payload } = event;
      expect(bytes.equals(encodeMsgpack({ publisher_id, sequence, published_at, topic, payload }))).toBe(true);
      const read = decodeEnvelope(bytes);
      expect({ ...read, payload: Buffer.from(read.payload) }).toEqual({ ...event, payload: Buffer.from(payload) });
    }),
  );
});

test('members may come in any order, and unknown ones are passed over', () => {
  fc.assert(
    fc.property(envelopes, fc.integer(), ({ publisher, sequence, publishedAt, topic, payload }, seed) => {
      const members: [string, unknown][] = [
        ['publisher_id', publisher],
        ['sequence', sequence],
        ['published_at', publishedAt],
        ['topic', topic],
        ['payload', payload],
        ['more', { of: [1, 2n ** 60n] }],
      ];
      const turned = members.toSorted((a, b) => Math.sin(seed + a[0].length * 7) - Math.sin(seed + b[0].length * 7 + 1));
      expect(decodeEnvelope(Buffer.from(encodeMsgpack(Object.fromEntries(turned))))).toMatchObject({ publisher, sequence, publishedAt, topic });
    }),
  );
});

/** Reads, and accepts a typed error. */
function readOrRefuse(read: () => unknown): 'read' | 'refused' {
  try {
    read();
    return 'read';
  } catch (error) {
    expect(DynamoError.is(error, 'backend_protocol')).toBe(true);
    return 'refused';
  }
}

test('an envelope cut anywhere, or longer than it is, is refused', () => {
  for (const { bytes } of natsCaptures.slice(0, 3)) {
    for (let length = 0; length < bytes.length; length++) expect(readOrRefuse(() => decodeEnvelope(bytes.subarray(0, length)))).toBe('refused');
    expect(readOrRefuse(() => decodeEnvelope(Buffer.concat([bytes, Buffer.alloc(1)])))).toBe('refused');
  }
});

test('a ZMQ message of which any frame is cut, missing or one too many is refused', () => {
  const { frames } = zmqCaptures[0]!;
  for (const index of [1, 2, 3]) {
    for (let length = 0; length < frames[index]!.length; length++) {
      expect(readOrRefuse(() => decodeEventFrames(frames.with(index, frames[index]!.subarray(0, length))))).toBe('refused');
    }
  }
  for (let count = 0; count < 4; count++) expect(readOrRefuse(() => decodeEventFrames(frames.slice(0, count)))).toBe('refused');
  expect(readOrRefuse(() => decodeEventFrames([...frames, Buffer.alloc(1)]))).toBe('refused');
});

test('any byte changed in frames 1 and 2, in the version or in the length is noticed', () => {
  const { frames } = zmqCaptures[0]!;
  const changed = (index: number, at: number): Buffer[] => {
    const frame = Buffer.from(frames[index]!);
    frame[at]! ^= 0x41;
    return frames.with(index, frame);
  };
  for (const [index, size] of [
    [1, 8],
    [2, 8],
    [3, 5],
  ] as const)
    for (let at = 0; at < size; at++) expect(readOrRefuse(() => decodeEventFrames(changed(index, at)))).toBe('refused');
});

test('any byte changed anywhere is read or refused, never worse', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.integer({ min: 0, max: 255 }), (which, at, value) => {
      const bytes = Buffer.from(natsCaptures[which % natsCaptures.length]!.bytes);
      bytes[at % Math.min(bytes.length, 90)] = value;
      readOrRefuse(() => decodeEnvelope(bytes));
    }),
    { numRuns: 2_000 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void readOrRefuse(() => decodeEnvelope(Buffer.from(bytes)))));
});

test.each([
  ['no publisher', { publisher_id: -1 }],
  ['a sequence that does not count', { sequence: 2n ** 60n }],
  ['a sequence that is a fraction', { sequence: 1.5 }],
  ['a time that is text', { published_at: 'now' }],
  ['a topic that is a number', { topic: 3 }],
  ['a payload that is text', { payload: 'x' }],
])('an envelope with %s is refused', (_, wrong) => {
  const right = { publisher_id: 1, sequence: 0, published_at: 1, topic: 't', payload: new Uint8Array(1) };
  expect(readOrRefuse(() => decodeEnvelope(Buffer.from(encodeMsgpack(right))))).toBe('read');
  expect(readOrRefuse(() => decodeEnvelope(Buffer.from(encodeMsgpack({ ...right, ...wrong }))))).toBe('refused');
});

const records = [
  ...lines('records/file-discovery-mocker.jsonl'),
  ...lines('records/etcd-nats-mocker.jsonl').map((line) => {
    const [, version, name, ...rest] = /^(v1)\/(\w+)\/(.*)$/.exec(line.key) ?? [];
    return { bucket: `${version}/${name}`, key: rest[0], value_text: line.value_text };
  }),
];

test('channel and source records: read, written again letter by letter', () => {
  const channels = records.filter((record) => record.bucket === 'v1/event_channels');
  const sources = records.filter((record) => record.bucket === 'v1/event_sources');
  expect([channels.length, sources.length].every((count) => count > 2)).toBe(true);
  for (const { key, value_text: value } of channels) {
    const channel = decodeEventChannel({ bucket: 'v1/event_channels', key, value })!;
    expect(encodeEventChannel(channel)).toEqual({ bucket: 'v1/event_channels', key, value });
    expect(publisherOfKey(key)).toBe(channel.publisher);
  }
  for (const { key, value_text: value } of sources) {
    const source = decodeEventSource({ bucket: 'v1/event_sources', key, value })!;
    expect(encodeEventSource(source)).toEqual({ bucket: 'v1/event_sources', key, value });
  }
});

test('scopes and transports of every kind survive', () => {
  const scopes = [{ namespace: 'n' }, { namespace: 'n', component: 'c' }, { namespace: 'n', component: 'c', endpoint: 'e' }];
  const transports = [
    { kind: 'zmq', endpoint: 'tcp://h:1' },
    { kind: 'nats', subjectPrefix: 'namespace.n' },
    { kind: 'zmq-broker', xsub: ['tcp://h:1'], xpub: ['tcp://h:2', 'tcp://i:2'] },
  ] as const;
  for (const scope of scopes)
    for (const transport of transports) {
      const channel = { scope, topic: 'a topic', publisher: 0x1fn, transport };
      expect(decodeEventChannel(encodeEventChannel(channel))).toEqual(channel);
    }
});

test('names are escaped byte by byte, in upper case', () => {
  const scope = { namespace: 'a.b/c', component: 'é-_9', endpoint: '%2F *' };
  expect(scopePath(scope)).toBe('namespace/a%2Eb%2Fc/component/%C3%A9-_9/endpoint/%252F%20%2A');
  expect(topicPath({ namespace: 'n' }, 'kv.events')).toBe('namespace/n/topic/kv%2Eevents');
  expect(subjectPrefix({ namespace: 'n', component: 'c' })).toBe('namespace.n.component.c');
  expect(eventSubject({ namespace: 'n.*' }, '>')).toBe('namespace.n%2E%2A.%3E');
});

test.each([
  'no JSON',
  '[]',
  '{"type":"EventChannel"}',
  '{"type":"EventChannel","scope":{"kind":"galaxy"},"topic":"t","instance_id":1,"transport":{"kind":"Zmq","config":{"endpoint":"x"}}}',
  '{"type":"EventChannel","scope":{"kind":"namespace","name":"n"},"topic":"t","instance_id":-1,"transport":{"kind":"Zmq","config":{"endpoint":"x"}}}',
  '{"type":"EventChannel","scope":{"kind":"namespace","name":3},"topic":"t","instance_id":1,"transport":{"kind":"Zmq","config":{"endpoint":"x"}}}',
  '{"type":"EventChannel","scope":{"kind":"namespace","name":"n"},"topic":"t","instance_id":1,"transport":{"kind":"Pigeon","config":{}}}',
  '{"type":"EventChannel","scope":{"kind":"namespace","name":"n"},"topic":"t","instance_id":1,"transport":{"kind":"ZmqBroker","config":{"xsub_endpoints":[1],"xpub_endpoints":[]}}}',
])('%s is no channel and no source', (value) => {
  expect(decodeEventChannel({ bucket: 'v1/event_channels', key: 'k', value })).toBeUndefined();
  expect(decodeEventSource({ bucket: 'v1/event_sources', key: 'k', value })).toBeUndefined();
});
