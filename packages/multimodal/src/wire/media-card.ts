import { DynamoError } from '@dynamo/runtime';
import { decodeRules, type DecodeOptions } from '../decode/rules.ts';
import { fetchRules, type FetchOptions } from '../fetch/rules.ts';

/** The two members of a model card that tell a frontend how to load its media (spec multimodal 1). */
export interface MediaCard {
  readonly media_decoder: unknown;
  readonly media_fetcher: unknown;
}

/** Writes options as card members: every limit as a number of its own, as a limit beside a missing one would lift that (spec multimodal 1). */
export function encodeMediaCard(options: { fetch?: FetchOptions; decode?: DecodeOptions }): MediaCard {
  const decode = decodeRules(options.decode);
  const fetch = fetchRules(options.fetch);
  const limits = { max_image_width: decode.maxWidth, max_image_height: decode.maxHeight, max_alloc: decode.maxAllocBytes };
  return {
    media_decoder: { image: { limits } },
    media_fetcher: {
      user_agent: fetch.userAgent,
      allow_direct_ip: fetch.allowDirectIp,
      allow_direct_port: fetch.allowDirectPort,
      allow_private_ips: fetch.allowPrivateIps,
      allowed_media_domains: fetch.allowedDomains ?? null,
      timeout: { secs: Math.floor(fetch.timeoutMs / 1_000), nanos: Math.round((fetch.timeoutMs % 1_000) * 1_000_000) },
    },
  };
}

/**
 * Reads card members as options; what 1.6.1 wrote is read as it means it, null for no limit.
 *
 * @returns undefined when the card asks for no decoding of images.
 * @throws DynamoError `invalid_argument` with the text of 1.6.1 for members that it doesn't know.
 */
export function decodeMediaCard(card: MediaCard): { fetch: FetchOptions; decode: DecodeOptions } | undefined {
  const image = members(members(card.media_decoder)?.['image'], ['limits']);
  if (image === undefined) return undefined;
  const limits = members(image['limits'], ['max_image_width', 'max_image_height', 'max_alloc']);
  const decode =
    limits === undefined
      ? {}
      : { maxWidth: size(limits, 'max_image_width'), maxHeight: size(limits, 'max_image_height'), maxAllocBytes: size(limits, 'max_alloc') };
  return { decode, fetch: readFetcher(members(card.media_fetcher) ?? {}) };
}

type Members = Readonly<Record<string, unknown>>;

function members(value: unknown, known?: readonly string[]): Members | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const unknown = known === undefined ? undefined : Object.keys(value).find((name) => !known.includes(name));
  if (unknown === undefined) return value as Members;
  const names = (known ?? []).map((name) => `\`${name}\``);
  const expected = names.length === 1 ? names[0] : `one of ${names.join(', ')}`;
  throw new DynamoError('invalid_argument', `Failed to parse image decoder config: unknown field \`${unknown}\`, expected ${expected}`);
}

function size(limits: Members, name: string): number | null {
  const value = limits[name] ?? null;
  if (value === null || (Number.isSafeInteger(value) && (value as number) >= 0)) return value as number | null;
  throw new DynamoError('invalid_argument', `Failed to parse image decoder config: ${name} must be a whole number`, { data: { field: name } });
}

function readFetcher(wire: Members): FetchOptions {
  const timeout = members(wire['timeout']);
  const domains = wire['allowed_media_domains'];
  const flag = (name: string): boolean => wire[name] === true;
  return {
    allowDirectIp: flag('allow_direct_ip'),
    allowDirectPort: flag('allow_direct_port'),
    allowPrivateIps: flag('allow_private_ips'),
    ...(typeof wire['user_agent'] === 'string' && { userAgent: wire['user_agent'] }),
    ...(timeout !== undefined && { timeoutMs: Number(timeout['secs'] ?? 0) * 1_000 + Number(timeout['nanos'] ?? 0) / 1_000_000 }),
    ...(Array.isArray(domains) && { allowedDomains: domains.map(String) }),
  };
}
