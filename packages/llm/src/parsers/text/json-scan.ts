/** Deepest nesting that is still taken for a call. */
const maxDepth = 512;

const quote = 34;
const backslash = 92;
const space = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9;

/** Characters that may stand outside strings: literals, numbers and what parts them. */
const plain: ReadonlySet<number> = new Set(
  Array.from(' \n\r\t,:-+.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', (char) => char.charCodeAt(0)),
);

/**
 * Follows one JSON object or list through a stream of pieces to its end, looking at each character once.
 *
 * It judges the outline only (`JSON.parse` judges the rest once the value is whole), but early: text that can't be JSON
 * fails at its first wrong character.
 */
export class JsonScan {
  readonly #open: number[] = [];
  #string = false;
  #escaped = false;
  /** A brace or comma of an object came: a name must follow. */
  #wantsName = false;
  #done = false;
  #failed = false;
  #name = '';
  #named = false;
  readonly #names: ReadonlySet<string> | undefined;

  /** With `names`, the value must be an object, or a list that begins with one, whose first member has one of these names. */
  constructor(names?: ReadonlySet<string>) {
    this.#names = names;
  }

  get done(): boolean {
    return this.#done;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** Reads on from `from`; gives the index behind the last character that belongs to the value. */
  feed(text: string, from: number): number {
    let at = from;
    while (at < text.length && !this.#done && !this.#failed) {
      const code = text.charCodeAt(at);
      if (this.#string) this.#inString(text, at, code);
      else this.#outside(code);
      if (!this.#failed) at++;
    }
    return at;
  }

  #inString(text: string, at: number, code: number): void {
    const naming = this.#names !== undefined && !this.#named;
    if (this.#escaped) this.#escaped = false;
    else if (code === backslash) this.#escaped = true;
    else if (code === quote) {
      this.#string = false;
      if (!naming) return;
      this.#named = true;
      if (this.#names?.has(this.#name) !== true) this.#failed = true;
      return;
    }
    if (!naming) return;
    this.#name += text[at];
    if (this.#name.length > 32) this.#failed = true;
  }

  #outside(code: number): void {
    if (space(code) && this.#open.length > 0) return;
    if (this.#wantsName) {
      if (code !== quote && code !== 125) return this.#fail();
      this.#wantsName = false;
    }
    // Before its first name a call's outline is `{` or `[{`, and nothing else.
    if (this.#names !== undefined && !this.#named && code !== quote && code !== 123 && !(code === 91 && this.#open.length === 0)) return this.#fail();
    if (code === quote) {
      if (this.#open.length === 0) return this.#fail();
      if (this.#names !== undefined && !this.#named && this.#open.at(-1) !== 125) return this.#fail();
      this.#string = true;
    } else if (code === 123 || code === 91) {
      this.#open.push(code + 2);
      this.#wantsName = code === 123;
      if (this.#open.length > maxDepth) this.#fail();
    } else if (code === 125 || code === 93) {
      if (this.#open.pop() !== code) return this.#fail();
      this.#done = this.#open.length === 0;
    } else if (this.#open.length === 0 || !plain.has(code)) this.#fail();
    else if (code === 44) this.#wantsName = this.#open.at(-1) === 125;
  }

  #fail(): void {
    this.#failed = true;
  }
}
