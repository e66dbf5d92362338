/** Where a marker was found. */
export interface FoundMarker {
  readonly marker: string;
  readonly at: number;
  readonly end: number;
}

/**
 * Finds the first of several literal markers, and says how much of a text's end may be the beginning of one.
 *
 * Where one marker begins another, which of the two it is can depend on how the text was cut into pieces: whoever uses such
 * markers asks `begins` first.
 */
export class MarkerSearch {
  readonly markers: readonly string[];
  readonly #any: RegExp | undefined;
  readonly #first: ReadonlySet<number>;
  readonly #longest: number;

  constructor(markers: readonly string[]) {
    this.markers = markers;
    this.#any = markers.length === 0 ? undefined : new RegExp(markers.map((marker) => marker.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'), 'g');
    this.#first = new Set(markers.map((marker) => marker.charCodeAt(0)));
    this.#longest = Math.max(0, ...markers.map((marker) => marker.length));
  }

  /** The first marker at or behind `from`. */
  find(text: string, from: number): FoundMarker | undefined {
    const any = this.#any;
    if (any === undefined) return undefined;
    any.lastIndex = from;
    const found = any.exec(text);
    return found === null ? undefined : { marker: found[0], at: found.index, end: found.index + found[0].length };
  }

  /** Whether the text from `at` to its end may be the beginning of a marker. */
  begins(text: string, at: number): boolean {
    if (text.length - at >= this.#longest) return false;
    const rest = text.slice(at);
    return this.markers.some((marker) => marker.length > rest.length && marker.startsWith(rest));
  }

  /** How many of the last characters, none before `from`, may begin a marker that is still to come. */
  begun(text: string, from: number): number {
    const length = text.length;
    for (let at = Math.max(from, length - this.#longest + 1); at < length; at++) {
      if (!this.#first.has(text.charCodeAt(at))) continue;
      if (this.begins(text, at)) return length - at;
    }
    return 0;
  }
}
