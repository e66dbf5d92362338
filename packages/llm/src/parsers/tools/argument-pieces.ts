import { JsonCompacter } from '../text/json-compacter.ts';
import { JsonScan } from '../text/json-scan.ts';
import { isJson } from '../text/json-text.ts';
import type { EventList } from './events.ts';

/** The call whose arguments come, and whether they are told in 1.6.1's compact form or as the model writes them. */
interface NamedCall {
  readonly name: string;
  readonly id?: string | undefined;
  readonly compact?: boolean;
}

/** Tells one call's arguments, an object, as they come. */
export class ArgumentPieces {
  readonly #events: EventList;
  readonly #index: number;
  readonly #scan = new JsonScan();
  readonly #compacter: JsonCompacter | undefined;
  #text = '';
  #ended = false;

  constructor(events: EventList, { name, id, compact }: NamedCall) {
    this.#events = events;
    this.#index = events.start(name, id);
    this.#compacter = compact === true ? new JsonCompacter() : undefined;
  }

  /** Whether nothing more belongs to it: the object has ended, or can't be one any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Reads on; gives the index behind the last character that belongs to the arguments. */
  feed(text: string, from: number): number {
    if (this.#ended) return from;
    const end = this.#scan.feed(text, from);
    const piece = text.slice(from, end);
    this.#text += piece;
    this.#events.arguments(this.#index, this.#compacter?.push(piece) ?? piece);
    if (this.#scan.done || this.#scan.failed) this.end();
    return end;
  }

  /** Ends the call, as broken if its arguments are no JSON. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.arguments(this.#index, this.#compacter?.end() ?? '');
    this.#events.finish(this.#index, this.#scan.done && isJson(this.#text));
  }
}
