import { DynamoError } from '@dynamo/runtime';

/** An object as a store lists it. */
export interface ListedObject {
  readonly key: string;
  readonly size: number;
  /** In hex, where the entity tag is one: not of objects that were uploaded in parts. */
  readonly md5?: string;
}

/**
 * Reads one page of a listing (ListObjectsV2), and where the next one begins.
 *
 * @throws DynamoError `backend_protocol` when it is none.
 */
export function readListing(xml: string, uri: string): { objects: readonly ListedObject[]; next: string | undefined } {
  if (!/<ListBucketResult[\s>]/.test(xml)) throw new DynamoError('backend_protocol', `${uri}: the store's answer is no listing`);
  const objects = [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, object = '']) => {
    const key = member(object, 'Key');
    const size = Number(member(object, 'Size') ?? Number.NaN);
    if (key === undefined || !Number.isSafeInteger(size) || size < 0)
      throw new DynamoError('backend_protocol', `${uri}: the store lists an object without key or size`);
    const md5 = /^"?([0-9a-f]{32})"?$/i.exec(member(object, 'ETag') ?? '')?.[1]?.toLowerCase();
    return { key, size, ...(md5 === undefined ? {} : { md5 }) };
  });
  const more = member(xml, 'IsTruncated') === 'true';
  return { objects, next: more ? member(xml, 'NextContinuationToken') : undefined };
}

const member = (xml: string, name: string): string | undefined => {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text === undefined ? undefined : unescape(text);
};

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

const unescape = (text: string): string =>
  text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return entities[name] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code <= 0x10_ffff ? String.fromCodePoint(code) : whole;
  });
