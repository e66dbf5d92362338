import { readFileSync } from 'node:fs';
import { xxh3 } from '@node-rs/xxhash';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Core } from '../core/core.ts';
import { PromptHasher, blockHashes, mediaByBlock, padValue } from './block-hash.ts';
import { loraId } from './lora-id.ts';

const lines = (name: string): string[] =>
  readFileSync(new URL(`../../../../vectors/kv-router/${name}`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
const readBig = (line: string): any =>
  JSON.parse(line, (_key, value, context?: any) => (typeof value === 'number' && !Number.isSafeInteger(value) ? BigInt(context.source) : value));

test.each(lines('block_hashes.jsonl').map((line, i) => [i, readBig(line)] as const))('block hashes, case %i', (_i, row) => {
  const options = {
    blockSize: row.block_size,
    lora: row.lora_name,
    salt: row.cache_namespace,
    eagle: row.is_eagle,
    media: row.block_mm_infos?.map((info: any) => info?.mm_objects.map((object: any) => BigInt(object.mm_hash))),
  };
  if (row.error !== undefined) expect(() => blockHashes(row.tokens, options)).toThrow(row.message);
  else {
    expect(blockHashes(row.tokens, options)).toEqual(row.hashes.map(BigInt));
    expect(blockHashes(Uint32Array.from(row.tokens), options)).toEqual(row.hashes.map(BigInt));
  }
});

test('LoRA ids', () => {
  const rows = lines('lora_ids.jsonl').map((line) => JSON.parse(line));
  expect(rows.length).toBe(112);
  for (const { name, id } of rows) expect([name, loraId(name)]).toEqual([name, id]);
});

test('XXH3 equals the reference for every length up to 2300 bytes, with three seeds', () => {
  const core = new Core();
  const bytes = Uint8Array.from({ length: 2300 }, (_, i) => (i * 7919 + (i >> 3)) & 255);
  for (const seed of [0n, 1337n, 0xfedc_ba98_7654_3210n]) {
    for (let n = 0; n < 2300; n++) {
      core.write(bytes.subarray(0, n));
      expect([n, BigInt.asUintN(64, core.wasm.hashInput(n, seed))]).toEqual([n, xxh3.xxh64(bytes.subarray(0, n), seed)]);
    }
  }
});

test('blocks of every size equal the reference, and each sequence hash is over the one before and the local one', () => {
  const hasher = new PromptHasher(new Core());
  const sizes = fc.oneof(fc.constantFrom(16, 32, 64, 128), fc.integer({ min: 1, max: 300 }));
  fc.assert(
    fc.property(sizes, fc.boolean(), fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 700 }), (blockSize, eagle, tokens) => {
      const { local, sequence } = hasher.hashes(tokens, { blockSize, eagle });
      const width = blockSize + Number(eagle);
      expect(local.length).toBe(Math.max(0, Math.floor((tokens.length - Number(eagle)) / blockSize)));
      local.forEach((hash, i) => {
        const block = Uint32Array.from(tokens.slice(i * blockSize, i * blockSize + width));
        expect(hash).toBe(xxh3.xxh64(new Uint8Array(block.buffer), 1337n));
        const pair = i === 0 ? undefined : new Uint8Array(BigUint64Array.of(sequence[i - 1] ?? 0n, hash).buffer);
        expect(sequence[i]).toBe(pair === undefined ? hash : xxh3.xxh64(pair, 1337n));
      });
    }),
    { numRuns: 60 },
  );
});

test('check values of a long prompt', () => {
  const tokens = Uint32Array.from({ length: 8192 }, (_, i) => (Math.imul(i, 2_654_435_761) >>> 0) % 150_000);
  const { local, sequence } = new PromptHasher(new Core()).hashes(tokens, { blockSize: 16 });
  expect([...local.slice(0, 4)]).toEqual([3308172485698577061n, 15355905756776605233n, 11789759863765158996n, 7655891067186745638n]);
  expect([...sequence.slice(0, 4)]).toEqual([3308172485698577061n, 12870732078427784001n, 4532309042331153515n, 6990233354903950417n]);
});

test('a hasher keeps requests with adapters, salts and media apart', () => {
  const hasher = new PromptHasher(new Core());
  const tokens = Uint32Array.from({ length: 32 }, (_, i) => i);
  const plain = hasher.hashes(tokens, { blockSize: 16 });
  const salted = hasher.hashes(tokens, { blockSize: 16, salt: 'tenant' });
  const media = hasher.hashes(tokens, { blockSize: 16, media: [null, [7n]] });
  expect(hasher.hashes(tokens, { blockSize: 16, lora: '', salt: '' })).toEqual(plain);
  expect(salted.local[0]).not.toBe(plain.local[0]);
  expect([media.local[0], media.sequence[0]]).toEqual([plain.local[0], plain.sequence[0]]);
  expect(media.local[1]).not.toBe(plain.local[1]);
  expect(media.sequence[1]).not.toBe(plain.sequence[1]);
});

test('media of a prompt belong to every block that they touch, once', () => {
  const spans = [
    { hash: 5n, offsets: [[3, 9] as const, [10, 11] as const] },
    { hash: 6n, offsets: [[8, 12] as const] },
  ];
  expect(mediaByBlock(spans, 17, 4)).toEqual([[5n], [5n], [5n, 6n], null, null]);
});

test('the pads of media are those of 1.6.1', () => {
  const pads = JSON.parse(readFileSync(new URL('../../../../vectors/multimodal/pad_value.json', import.meta.url), 'utf8')) as {
    mm_hash: string;
    pad_value: number;
  }[];
  for (const { mm_hash: hash, pad_value: pad } of pads) expect(padValue(BigInt(`0x${hash}`))).toBe(pad);
  expect(pads).toHaveLength(16);
});
