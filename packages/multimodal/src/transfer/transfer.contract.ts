import { describe, expect, test } from 'vitest';
import { DynamoError } from '@dynamo/runtime';
import { encodeRdmaMetadata, decodeRdmaMetadata, type RdmaMetadata } from '../wire/rdma-metadata.ts';
import { Connector } from './connector.ts';
import { Descriptor } from './descriptor.ts';
import type { TransferName } from './index.ts';

const bytes = (size: number, seed: number): Uint8Array => Uint8Array.from({ length: size }, (_, at) => (at * 31 + seed) & 0xff);

/** Metadata as it arrives: through its text. */
const sent = (metadata: RdmaMetadata): RdmaMetadata => decodeRdmaMetadata(encodeRdmaMetadata(metadata));

/** What every way to move bytes must do. */
export function transferContract(transfer: TransferName): void {
  describe(`transfer by ${transfer}`, () => {
    const open = (): Connector => new Connector({ transfer, idleMs: 20_000 });

    test('a readable operation is read whole and both sides end', async () => {
      await using owner = open();
      await using reader = open();
      const source = bytes(3_000_000, 1);
      using readable = await owner.createReadable(new Descriptor(source));
      expect(readable.status).toBe('initialized');
      const into = new Descriptor(new Uint8Array(source.byteLength));
      using read = reader.beginRead(sent(readable.metadata), into);
      await read.wait();
      await readable.wait();
      expect(Buffer.compare(into.bytes as Uint8Array, source)).toBe(0);
      expect([read.status, readable.status]).toEqual(['complete', 'complete']);
      expect(read.results()).toEqual([into]);
    });

    test('a writable operation is written whole and both sides end', async () => {
      await using owner = open();
      await using writer = open();
      const memory = new Uint8Array(1_000_000);
      using writable = await owner.createWritable(new Descriptor(memory));
      const source = bytes(memory.byteLength, 2);
      using write = writer.beginWrite(new Descriptor(source), sent(writable.metadata));
      await Promise.all([write.wait(), writable.wait()]);
      expect(Buffer.compare(memory, source)).toBe(0);
      expect([write.status, writable.status]).toEqual(['complete', 'complete']);
    });

    test('several descriptors move pair by pair, empty ones, other element types and shared memory too', async () => {
      await using owner = open();
      await using peer = open();
      const source = [bytes(10, 3), new Uint8Array(0), bytes(70_000, 4), new Uint8Array(new Float64Array([1.5, -2]).buffer)];
      const shared = new Uint8Array(new SharedArrayBuffer(70_000));
      shared.set(source[2] as Uint8Array);
      using readable = await owner.createReadable([
        new Descriptor(source[0] as Uint8Array),
        new Descriptor(source[1] as Uint8Array),
        new Descriptor(shared),
        new Descriptor(new Float64Array([1.5, -2])),
      ]);
      const into = source.map(({ byteLength }, at) => new Descriptor(at === 2 ? new SharedArrayBuffer(byteLength) : new Uint8Array(byteLength)));
      using read = peer.beginRead(sent(readable.metadata), into);
      await read.wait();
      expect(into.map((descriptor) => Array.from(descriptor.bytes as Uint8Array))).toEqual(source.map((piece) => Array.from(piece)));
    });

    test('many movements at once each get their own bytes', async () => {
      await using owner = open();
      await using peer = open();
      await Promise.all(
        Array.from({ length: 40 }, async (_, at) => {
          const source = bytes(50_000 + at, at);
          using readable = await owner.createReadable(new Descriptor(source));
          const into = new Uint8Array(source.byteLength);
          using read = peer.beginRead(sent(readable.metadata), new Descriptor(into));
          await read.wait();
          await readable.wait();
          expect(Buffer.compare(into, source)).toBe(0);
        }),
      );
    });

    test('memory that was taken back is refused, and so is a pointer that is not ours', async () => {
      await using owner = open();
      await using peer = open();
      const readable = await owner.createReadable(new Descriptor(bytes(8, 5)));
      const metadata = sent(readable.metadata);
      readable[Symbol.dispose]();
      using late = peer.beginRead(metadata, new Descriptor(new Uint8Array(8)));
      await expect(late.wait()).rejects.toMatchObject({ code: 'not_found' });
      expect(late.status).toBe('errored');
      expect(() => late.cancel()).toThrow('Operation is errored, unable to cancel the operation.');
      expect(() => late.results()).toThrow('Operation has not completed yet, cannot get results.');
    });

    test('readable memory refuses a writer who lies about its kind, and nothing changes', async () => {
      await using owner = open();
      await using peer = open();
      const source = bytes(64, 6);
      using readable = await owner.createReadable(new Descriptor(source));
      using write = peer.beginWrite(new Descriptor(bytes(64, 7)), { ...sent(readable.metadata), kind: 'write' });
      await expect(write.wait()).rejects.toMatchObject({ code: 'permission_denied' });
      expect(source).toEqual(bytes(64, 6));
      expect(readable.status).toBe('initialized');
    });

    test('a size that was raised on the way is refused', async () => {
      await using owner = open();
      await using peer = open();
      using readable = await owner.createReadable(new Descriptor(bytes(16, 8)));
      const metadata = sent(readable.metadata);
      const raised = { ...metadata, descriptors: metadata.descriptors.map((descriptor) => ({ ...descriptor, size: 32 })) };
      using read = peer.beginRead(raised, new Descriptor(new Uint8Array(32)));
      await expect(read.wait()).rejects.toMatchObject({ code: 'invalid_argument', data: {} });
    });

    test('cancelling ends the wait and keeps what is complete', async () => {
      await using owner = open();
      await using peer = open();
      const source = bytes(4_000_000, 9);
      using readable = await owner.createReadable(new Descriptor(source));
      const cancelled = peer.beginRead(sent(readable.metadata), new Descriptor(new Uint8Array(source.byteLength)));
      cancelled.cancel();
      await cancelled.wait();
      expect(cancelled.status).toBe('cancelled');
      using again = peer.beginRead(sent(readable.metadata), new Descriptor(new Uint8Array(source.byteLength)));
      await again.wait();
      again.cancel();
      expect(again.status).toBe('complete');
    });

    test('leaving a wait leaves the operation alone', async () => {
      await using owner = open();
      await using peer = open();
      using readable = await owner.createReadable(new Descriptor(bytes(8, 1)));
      const leaving = new AbortController();
      const waiting = readable.wait({ signal: leaving.signal });
      leaving.abort();
      await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
      using read = peer.beginRead(sent(readable.metadata), new Descriptor(new Uint8Array(8)));
      await read.wait();
      await readable.wait();
    });

    test('closing an agent ends what waits for it', async () => {
      const owner = open();
      using readable = await owner.createReadable(new Descriptor(bytes(8, 1)));
      const waiting = readable.wait();
      await owner[Symbol.asyncDispose]();
      await expect(waiting).rejects.toSatisfy((error) => DynamoError.is(error, 'cancelled'));
      expect(readable.status).toBe('errored');
    });
  });
}
