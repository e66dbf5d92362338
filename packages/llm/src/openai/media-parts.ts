import type { ChatRequest } from './chat.ts';
import { passedMessage } from './passed-request.ts';
import { isMap } from './spelling.ts';

type Members = Readonly<Record<string, unknown>>;

/** Kinds of parts whose media go to the worker; `input_audio` stands in the prompt and goes no further (observed in 1.6.1). */
const kinds = ['image_url', 'video_url', 'audio_url'] as const;

/** A kind of media, under its name in requests. */
export type MediaKind = (typeof kinds)[number];

/** One medium of a conversation: where it is, or the name under which the worker has it already. */
export interface RequestedMedium {
  readonly kind: MediaKind;
  readonly url: string | undefined;
  readonly uuid: string | undefined;
}

/** The media of a conversation, in the order of the prompt. */
export function mediaOf({ messages }: ChatRequest): readonly RequestedMedium[] {
  let found: RequestedMedium[] | undefined;
  for (const { content } of messages as readonly { content?: unknown }[]) {
    if (!Array.isArray(content)) continue;
    for (const part of content as readonly Members[]) {
      const kind = kinds.find((one) => one === part['type']);
      if (kind !== undefined) (found ??= []).push(medium(kind, part));
    }
  }
  return found ?? none;
}

const none: readonly never[] = [];

function medium(kind: MediaKind, part: Members): RequestedMedium {
  const source = isMap(part[kind]) ? (part[kind] as Members) : {};
  const uuid = part['uuid'] ?? source['uuid'];
  return { kind, url: typeof source['url'] === 'string' ? source['url'] : undefined, uuid: typeof uuid === 'string' ? uuid : undefined };
}

/** How a worker gets media that stay where they are (vectors/multimodal/frontend_to_worker.json). */
export function mediaMembers(media: readonly RequestedMedium[]): Record<string, unknown> {
  const data: Record<string, unknown[]> = {};
  const names: Record<string, (string | null)[]> = {};
  for (const { kind, url, uuid } of media) {
    (data[kind] ??= []).push(url === undefined ? { UuidOnly: uuid ?? null } : { Url: url });
    (names[kind] ??= []).push(uuid ?? null);
  }
  const named = Object.entries(names).filter(([, uuids]) => uuids.some((uuid) => uuid !== null));
  return { multi_modal_data: data, ...(named.length > 0 && { multi_modal_uuids: Object.fromEntries(named) }) };
}

/** The conversation beside its media: data URLs would only repeat them and are emptied. */
export const messagesBesideMedia = ({ messages }: ChatRequest): readonly unknown[] =>
  messages.map((message) => passedMessage(message as unknown as Members, partBesideMedia));

function partBesideMedia(part: unknown): unknown {
  const kind = kinds.find((one) => one === (part as Members)['type']);
  const source = kind === undefined ? undefined : (part as Members)[kind];
  if (kind === undefined || !isMap(source)) return part;
  const { url, detail = null } = source as Members;
  const kept = typeof url === 'string' && url.startsWith('data:') ? '' : url;
  return { ...(part as Members), [kind]: { ...source, url: kept, ...(kind !== 'audio_url' && { detail }) } };
}

/**
 * The prompt as it is routed: each image's placeholders become the pad of that image, so that equal pictures meet and others don't
 * (spec multimodal 5).
 *
 * @returns undefined when placeholders and images don't match: then the prompt is routed as text.
 */
export function routingTokens(tokenIds: readonly number[], imageTokenId: number, pads: readonly number[]): readonly number[] | undefined {
  const single = tokenIds.filter((id) => id === imageTokenId).length === pads.length;
  let image = -1;
  let before = -1;
  const routed = tokenIds.map((id) => {
    if (id === imageTokenId && (single || before !== id)) image += 1;
    before = id;
    return id === imageTokenId ? (pads[image] ?? id) : id;
  });
  return image + 1 === pads.length ? routed : undefined;
}
