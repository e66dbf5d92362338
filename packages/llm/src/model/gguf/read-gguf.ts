import { open, type FileHandle } from 'node:fs/promises';
import { DynamoError } from '@dynamo/runtime';
import { GgufCursor, type GgufValue, NeedsMore } from './cursor.ts';
import { tensorBytes } from './tensor-sizes.ts';

/** What a GGUF file says of itself, without its weights. */
export interface GgufFile {
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** The header as it stands in the file, all before the weights. */
  readonly header: Buffer;
}

/** Read at first; vocabularies make headers of one to ten megabytes. */
const firstRead = 4 * 1024 * 1024;

/** Most that is taken for a header. */
const mostHeader = 256 * 1024 * 1024;

/**
 * Reads the header of a GGUF file (versions 2 and 3) and checks that all of its weights are there.
 *
 * @throws DynamoError `not_found` without the file, `invalid_argument` for what is no GGUF file, or one that is damaged or cut off.
 */
export async function readGguf(path: string): Promise<GgufFile> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw new DynamoError('not_found', `GGUF file '${path}' can't be read`, { cause, data: { path } });
  }
  await using handle = file;
  const status = await handle.stat();
  if (!status.isFile()) throw new DynamoError('invalid_argument', `${path} is no file`, { data: { path } });
  const { size } = status;
  for (let wanted = Math.min(firstRead, size); ; wanted = Math.min(wanted * 4, mostHeader, size)) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(wanted), 0, wanted, 0);
    const cursor = new GgufCursor(buffer.subarray(0, bytesRead), { path, size });
    try {
      const { metadata, end } = parseHeader(cursor, size);
      return { path, size, metadata, header: buffer.subarray(0, end) };
    } catch (error) {
      if (!(error instanceof NeedsMore)) throw error;
      if (wanted >= size) throw cursor.invalid(`is cut off: it ends after ${size} bytes, within its header`);
      if (wanted >= mostHeader) throw cursor.invalid(`has a header of more than ${mostHeader} bytes`);
    }
  }
}

function parseHeader(cursor: GgufCursor, size: number): { metadata: Map<string, GgufValue>; end: number } {
  if (size === 0) throw cursor.invalid('is empty');
  if (cursor.u32() !== 0x4655_4747) throw cursor.invalid('is no GGUF file: it does not begin with "GGUF"');
  const version = cursor.u32();
  if (version !== 2 && version !== 3)
    throw cursor.invalid(`is a GGUF file of version ${version}; versions 2 and 3 of little-endian machines are read`);
  const tensors = cursor.count('tensors', 24);
  const entries = cursor.count('metadata entries', 13);
  const metadata = new Map<string, GgufValue>();
  for (let index = 0; index < entries; index++) {
    const key = cursor.text();
    metadata.set(key, cursor.value(cursor.u32()));
  }
  let weights = 0;
  for (let index = 0; index < tensors; index++) weights = Math.max(weights, endOfTensor(cursor));
  const end = cursor.at;
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || !(alignment > 0)) throw cursor.invalid(`has an alignment of ${String(alignment)}`);
  const expected = Math.ceil(end / alignment) * alignment + weights;
  if (size < expected) throw cursor.invalid(`is cut off: it has ${size} bytes, and its weights need ${expected}`);
  return { metadata, end };
}

/** Where a tensor ends, counted from where the weights begin. */
function endOfTensor(cursor: GgufCursor): number {
  cursor.text();
  const rank = cursor.u32();
  if (rank > 8) throw cursor.invalid(`has a tensor of ${rank} dimensions`);
  const dimensions = Array.from({ length: rank }, () => cursor.u64('tensor dimension'));
  const type = cursor.u32();
  return cursor.u64('tensor offset') + tensorBytes(type, dimensions);
}
