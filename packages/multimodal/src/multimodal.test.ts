import { expect, test } from 'vitest';
import { Multimodal } from './multimodal.ts';

test('what one shares another reads, as often as they like, until it is taken back', async () => {
  await using here = new Multimodal();
  await using there = new Multimodal();
  const shared = await here.share(new Float32Array([1, 2, 3]));
  const first = await there.read(shared.descriptor);
  await shared.read;
  const into = new Float32Array(3);
  await there.read(shared.descriptor, { into });
  expect([new Float32Array(first.buffer), into]).toEqual([new Float32Array([1, 2, 3]), new Float32Array([1, 2, 3])]);
  await shared[Symbol.asyncDispose]();
  await expect(there.read(shared.descriptor)).rejects.toMatchObject({ code: 'not_found' });
});

test('what is too large, of another size, not a descriptor or no longer wanted is refused', async () => {
  await using here = new Multimodal({ transfer: { by: 'shared-memory' } });
  await using there = new Multimodal({ transfer: { by: 'shared-memory', maxBytes: 8 } });
  await using shared = await here.share(new Uint8Array(9));
  await expect(there.read(shared.descriptor)).rejects.toMatchObject({ code: 'payload_too_large', data: { value: 9, limit: 8 } });
  await expect(there.read(shared.descriptor, { into: new Uint8Array(8) })).rejects.toThrow(
    'Local and remote descriptors must be the same size. 8 != 9.',
  );
  await expect(there.read('{"descriptors":[')).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(there.read(shared.descriptor, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  await using tcp = new Multimodal();
  await expect(tcp.read(shared.descriptor)).rejects.toMatchObject({ code: 'not_implemented' });
});
