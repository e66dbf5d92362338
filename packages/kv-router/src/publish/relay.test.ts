import { readFileSync } from 'node:fs';
import { decodeMsgpack } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { Core } from '../core/core.ts';
import { PromptHasher } from '../hash/block-hash.ts';
import { decodeRouterEvents } from '../wire/kv-event.ts';
import { writeRouterEvents } from '../wire/kv-event-writer.ts';
import { EngineRelay } from './engine-relay.ts';

const lines = <T>(name: string): T[] =>
  readFileSync(new URL(`../../../../vectors/kv-router/${name}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);

const hasher = new PromptHasher(new Core());

interface Relayed {
  case: string;
  kv_block_size: number;
  image_token_id: number;
  worker_id: number;
  frames_hex: string[];
  emitted: { payload_hex: string }[];
}
const relayed = lines<Relayed>('zmq_relay.jsonl');

test('every captured engine message is relayed byte for byte', () => {
  const [first] = relayed;
  if (first === undefined) throw new Error('the vector file is empty');
  const relay = new EngineRelay(BigInt(first.worker_id), { blockSize: first.kv_block_size, imageTokenId: first.image_token_id, hasher });
  let compared = 0;
  for (const line of relayed) {
    const messages = relay.read(line.frames_hex.map((frame) => Buffer.from(frame, 'hex'))).messages.map(writeRouterEvents);
    expect(
      messages.map((message) => Buffer.from(message).toString('hex')),
      line.case,
    ).toEqual(line.emitted.map(({ payload_hex }) => payload_hex));
    compared += messages.length;
  }
  expect(compared).toBe(relayed.flatMap(({ emitted }) => emitted).length);
});

test('what the relay publishes reads back as it was', () => {
  for (const { payload_hex } of relayed.flatMap(({ emitted }) => emitted)) {
    const bytes = Buffer.from(payload_hex, 'hex');
    expect(Buffer.from(writeRouterEvents(decodeRouterEvents(bytes))).toString('hex')).toBe(payload_hex);
  }
});

test("a real vLLM's events are read whole", () => {
  const relay = new EngineRelay(7n, { blockSize: 32, hasher });
  let stored = 0;
  for (const { frames_b64 } of lines<{ frames_b64: string[] }>('vllm-real-events.jsonl')) {
    const { messages, refused } = relay.read(frames_b64.map((frame) => Buffer.from(frame, 'base64')));
    expect(refused).toBeUndefined();
    for (const event of messages.flat()) if (event.change.type === 'stored') stored += event.change.blocks.length;
  }
  expect(stored).toBeGreaterThan(10);
});

test('a cut or mutated message is refused with a reason and never throws', () => {
  const relay = new EngineRelay(7n, { blockSize: 4, hasher });
  for (const line of relayed.slice(0, 20)) {
    const frames = line.frames_hex.map((frame) => Buffer.from(frame, 'hex'));
    const payload = frames[2] as Buffer;
    for (let cut = 0; cut < payload.length; cut++) {
      const { refused } = relay.read([frames[0] as Buffer, frames[1] as Buffer, payload.subarray(0, cut)]);
      expect(refused, `${line.case} cut at ${cut}`).toBeTypeOf('string');
    }
  }
});

test('captured kv-events of a real mocker read and write alike', () => {
  const captured = lines<{ topic: string; frames_hex: string[] }>('event_plane_capture.jsonl').filter(({ topic }) => topic === 'kv-events');
  expect(captured.length).toBeGreaterThan(0);
  for (const { frames_hex } of captured) {
    const { payload } = decodeMsgpack(Buffer.from(frames_hex[3] as string, 'hex').subarray(5)) as { payload: Uint8Array };
    expect(Buffer.from(writeRouterEvents(decodeRouterEvents(payload)))).toEqual(Buffer.from(payload));
  }
});
