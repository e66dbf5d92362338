import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DynamoError } from '@dynamo/runtime';
import type { EndpointName } from '@dynamo/runtime/internal';

/** First bytes of every snapshot: a name and the version of the framing. */
const magic = Buffer.from('dynamo-router-state 1\n', 'latin1');

/** Where the snapshot of an endpoint's router lies. */
export const snapshotPath = (folder: string, { namespace, component, endpoint }: EndpointName): string =>
  join(folder, `${[namespace, component, endpoint].map(encodeURIComponent).join('.')}.router-state`);

/** Writes a snapshot beside the old one and puts it in its place: whoever reads sees the one or the other, whole. */
export async function writeSnapshot(path: string, frames: readonly Uint8Array[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(beside, 'w');
    try {
      await file.write(magic);
      for (const frame of frames) {
        const length = Buffer.alloc(4);
        length.writeUInt32LE(frame.length);
        await file.write(length);
        await file.write(frame);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/**
 * Reads the frames of a snapshot; undefined where there is none.
 *
 * @throws DynamoError `backend_protocol` for a file that is something else. One that is cut gives the frames that it has.
 */
export async function readSnapshot(path: string): Promise<Uint8Array[] | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (!magic.equals(bytes.subarray(0, magic.length))) throw new DynamoError('backend_protocol', `${path} is no snapshot of a router`);
  const frames: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = magic.length; at + 4 <= bytes.length;) {
    const length = view.getUint32(at, true);
    if (at + 4 + length > bytes.length) break;
    frames.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return frames;
}
