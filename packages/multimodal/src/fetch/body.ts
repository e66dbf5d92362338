import type { IncomingMessage } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { FetchRules } from './rules.ts';
import { mediaError } from './url-policy.ts';

const inflaters: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

const tooLarge = (limit: number): Error => mediaError('fetch', `The media are larger than ${limit} bytes`, { code: 'payload_too_large' });

/** Passes on at most `limit` bytes and fails with the next. */
async function* atMost(source: AsyncIterable<Buffer>, limit: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.byteLength;
    if (size > limit) throw tooLarge(limit);
    yield chunk;
  }
}

/**
 * The bytes of an answer: bounded as sent and bounded again once its content coding is undone, counted while they come.
 *
 * @throws DynamoError `payload_too_large`; `invalid_argument` for a coding that wasn't asked for, or more than one.
 */
export async function readBody(response: IncomingMessage, rules: FetchRules): Promise<Uint8Array> {
  const declared = Number(response.headers['content-length']);
  if (declared > rules.maxBytes) throw tooLarge(rules.maxBytes);
  const coding = (response.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (coding === 'identity' || coding === '') return gathered(atMost(response as AsyncIterable<Buffer>, rules.maxBytes));
  const inflater = Object.hasOwn(inflaters, coding) ? inflaters[coding] : undefined;
  if (inflater === undefined) throw mediaError('fetch', `The content coding '${coding}' is not supported`);
  return inflated(response, inflater(), rules);
}

async function inflated(response: Readable, inflate: Transform, rules: FetchRules): Promise<Uint8Array> {
  let sent = 0;
  response.on('data', (chunk: Buffer) => {
    sent += chunk.byteLength;
    if (sent > rules.maxBytes) response.destroy(tooLarge(rules.maxBytes));
  });
  response.once('error', (error) => inflate.destroy(error));
  response.pipe(inflate);
  try {
    return await gathered(atMost(inflate as AsyncIterable<Buffer>, rules.maxInflatedBytes));
  } finally {
    response.unpipe(inflate);
    inflate.destroy();
  }
}

async function gathered(source: AsyncIterable<Buffer>): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}
