import type { MarkerSearch } from './marker-search.ts';

/** What a reader of marked text is doing: which markers end it, and what becomes of the text before them. */
export interface Reading {
  readonly ends: MarkerSearch;
  text(piece: string): void;
  /** A marker came: how to go on. */
  marker(marker: string): Reading;
}

/**
 * Cuts a stream of pieces at markers, wherever the pieces were cut.
 *
 * It holds back no more than what may be the beginning of a marker, so its memory is bounded and each character is looked
 * at a bounded number of times.
 */
export class Cutter {
  #reading: Reading;
  #held = '';

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  get reading(): Reading {
    return this.#reading;
  }

  push(piece: string): void {
    const text = this.#held === '' ? piece : this.#held + piece;
    let at = 0;
    for (let found = this.#reading.ends.find(text, at); found !== undefined; found = this.#reading.ends.find(text, at)) {
      if (found.at > at) this.#reading.text(text.slice(at, found.at));
      this.#reading = this.#reading.marker(found.marker);
      at = found.end;
    }
    const begun = this.#reading.ends.begun(text, at);
    const whole = text.length - begun;
    if (whole > at) this.#reading.text(at === 0 && begun === 0 ? text : text.slice(at, whole));
    this.#held = begun === 0 ? '' : text.slice(whole);
  }

  /** A marker that was told apart from text by other means. */
  mark(marker: string): void {
    this.flush();
    this.#reading = this.#reading.marker(marker);
  }

  /** Text without any marker in it. */
  plain(piece: string): void {
    this.flush();
    if (piece !== '') this.#reading.text(piece);
  }

  /** Passes what is held on as text. */
  flush(): void {
    const rest = this.rest();
    if (rest !== '') this.#reading.text(rest);
  }

  /** Takes what is held: the beginning of a marker that never came. */
  rest(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }
}
