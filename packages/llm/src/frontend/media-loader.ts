import { DynamoError } from '@dynamo/runtime';
import type { Multimodal, Shared } from '@dynamo/multimodal';
import type { WireCard } from '../model/wire-card.ts';
import { ownTransfer } from '../model/media-options.ts';
import { publicFailure } from '../openai/failure.ts';
import type { RequestedMedium } from '../openai/media-parts.ts';

/** Decoded images of one request. Disposing takes their memory back. */
export interface DecodedMedia extends AsyncDisposable {
  /** One for each image, in order: what stands in `multi_modal_data.image_url`. */
  readonly images: readonly unknown[];
}

/** Loads images for workers whose card asks for pixels, and keeps them readable while their request runs. */
export class MediaLoader implements AsyncDisposable {
  readonly #host: string;
  #multimodal: Promise<Multimodal> | undefined;

  constructor(host: string) {
    this.#host = host;
  }

  /** Whether a model's workers can read what is decoded here: real ones read over NIXL only, and get URLs. */
  static serves({ media_decoder: decoder, runtime_config: { runtime_data: data } }: WireCard): boolean {
    return decoder !== null && (data as Readonly<Record<string, unknown>> | undefined)?.[ownTransfer.name] === ownTransfer.value;
  }

  /**
   * Fetches and decodes all images at once, under the limits of the card.
   *
   * @throws DynamoError `invalid_argument`, in the words of 1.6.1 (spec multimodal 2).
   */
  async decode(media: readonly RequestedMedium[], card: WireCard, signal: AbortSignal): Promise<DecodedMedia> {
    const { decodeMediaCard, decodeRules, encodeDecoded, fetchRules, loadMedia } = await import('@dynamo/multimodal/internal');
    const multimodal = await (this.#multimodal ??= this.#open());
    const options = decodeMediaCard(card) ?? { fetch: {}, decode: {} };
    const rules = { fetch: fetchRules(options.fetch, process.env), decode: decodeRules(options.decode) };
    await using shares = new AsyncDisposableStack();
    const share = async ({ kind, url }: RequestedMedium): Promise<unknown> => {
      const image = await loadMedia({ kind: 'image', url: url ?? '' }, rules, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        throw inPublic(error, kind);
      });
      const shared: Shared = shares.use(await multimodal.share(image.bytes));
      // Nobody waits for it: a reader that was cut off is told so itself.
      shared.read.catch(() => {});
      return { Decoded: encodeDecoded(image, shared.descriptor, multimodal.hash(image)) };
    };
    const settled = await Promise.allSettled(media.map(share));
    for (const one of settled) if (one.status === 'rejected') throw one.reason;
    const kept = shares.move();
    return {
      images: settled.map((one) => (one as PromiseFulfilledResult<unknown>).value),
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What never opened has nothing to close, and has told those who asked.
    await (await this.#multimodal?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }

  async #open(): Promise<Multimodal> {
    const { Multimodal } = await import('@dynamo/multimodal');
    return new Multimodal({ transfer: { host: this.#host } });
  }
}

/** What a client is told: how far its medium came, and nothing of where this frontend can reach. */
function inPublic(error: unknown, kind: string): DynamoError {
  const step = DynamoError.is(error) ? error.data['step'] : undefined;
  if (step === 'url') return publicFailure('invalid_argument', 'Invalid request');
  if (step === 'fetch') return publicFailure('invalid_argument', `Failed to fetch the ${kind} media`);
  return publicFailure('invalid_argument', `Failed to decode the ${kind} data: it is not a valid or supported image`);
}
