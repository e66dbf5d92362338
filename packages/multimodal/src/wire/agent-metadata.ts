import { deflateSync, inflateSync } from 'node:zlib';
import { DynamoError } from '@dynamo/runtime';

/** Who can make sense of an agent's metadata: a native NIXL agent, or one of our own transfers by its name. */
export interface AgentMetadata {
  readonly scheme: string;
  readonly bytes: Uint8Array;
}

/** What native agents write (spec nixl-connect 2). */
export const nativeScheme = 'nixl';

/** Prefix of our own schemes. A peer that knows only `b64:` and hex stops at it instead of reading nonsense (spec nixl-connect 5). */
const ownPrefix = 'dyn+';

/** More than a thousand agents write; a short text must not unfold into gigabytes. */
const maxUnfolded = 16 * 1024 * 1024;

/** Writes what stands in `nixl_metadata`: `b64:` and the compressed bytes of a native agent, `dyn+NAME:` and base64 of ours. */
export function encodeAgentMetadata({ scheme, bytes }: AgentMetadata): string {
  if (scheme === nativeScheme) return `b64:${deflateSync(bytes, { level: 6 }).toString('base64')}`;
  return `${ownPrefix}${scheme}:${Buffer.from(bytes).toString('base64')}`;
}

/**
 * Reads what stands in `nixl_metadata`, the older plain hex form of native agents included.
 *
 * @throws DynamoError `invalid_argument` when it is none of the known forms.
 */
export function decodeAgentMetadata(text: string): AgentMetadata {
  const own = /^dyn\+([a-z][a-z-]*):/.exec(text);
  if (own !== null) return { scheme: own[1] as string, bytes: Buffer.from(text.slice(own[0].length), 'base64') };
  if (text.startsWith('b64:')) return { scheme: nativeScheme, bytes: unfold(Buffer.from(text.slice(4), 'base64')) };
  if (/^(?:[0-9a-f]{2})+$/i.test(text)) return { scheme: nativeScheme, bytes: unfold(Buffer.from(text, 'hex')) };
  throw new DynamoError('invalid_argument', 'nixl_metadata is neither `b64:`, hex nor `dyn+NAME:`', { data: { field: 'nixl_metadata' } });
}

function unfold(folded: Uint8Array): Uint8Array {
  try {
    return inflateSync(folded, { maxOutputLength: maxUnfolded });
  } catch (cause) {
    throw new DynamoError('invalid_argument', `nixl_metadata can't be unfolded: ${(cause as Error).message}`, {
      cause,
      data: { field: 'nixl_metadata' },
    });
  }
}
