import { numberText } from './json-text.ts';

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const word = /[\w.+-]/;
const escaped = /^\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])$/;
const high = /^\\u[dD][89abAB]/;

/**
 * What `compactJson` does, piece by piece: the pieces that come out are, joined, what it makes of the whole.
 *
 * No more than one number or one escape is held back. What is no JSON passes without becoming JSON by it.
 */
export class JsonCompacter {
  #string = false;
  /** A number, word or escape that has begun. */
  #held = '';
  /** A first half of a character beyond the basic plane, which its second half must follow. */
  #half = '';
  /** White space came behind a word: a word that follows stays one of its own. */
  #parted = false;

  push(text: string): string {
    let made = '';
    for (let at = 0; at < text.length; at++) made += this.#string ? this.#inString(text[at] as string) : this.#outside(text[at] as string);
    return made;
  }

  /** What is held back, where nothing more will come. */
  end(): string {
    const rest = this.#string ? this.#half + this.#held : this.#word();
    this.#half = this.#held = '';
    return rest;
  }

  #inString(char: string): string {
    if (this.#held === '') {
      if (char === '\\') {
        this.#held = char;
        return '';
      }
      this.#string = char !== '"';
      return this.#whole('') + char;
    }
    this.#held += char;
    if (this.#held[1] === 'u' && this.#held.length < 6) return '';
    const escape = this.#held;
    this.#held = '';
    if (high.test(escape)) {
      const before = this.#whole('');
      this.#half = escape;
      return before;
    }
    return this.#whole(escape);
  }

  /** An escape in its shortest spelling, with the half that came before it. */
  #whole(escape: string): string {
    if (this.#half === '' && escape === '') return '';
    const both = this.#half + escape;
    const isEscape = (escape === '' || escaped.test(escape)) && (this.#half === '' || escaped.test(this.#half));
    this.#half = '';
    return isEscape ? JSON.stringify(JSON.parse(`"${both}"`)).slice(1, -1) : both;
  }

  #outside(char: string): string {
    if (char === ' ' || char === '\n' || char === '\r' || char === '\t') {
      this.#parted = this.#held !== '';
      return '';
    }
    if (word.test(char)) {
      if (!this.#parted) {
        this.#held += char;
        return '';
      }
      const before = this.#word();
      this.#held = char;
      return `${before} `;
    }
    this.#string = char === '"';
    return this.#word() + char;
  }

  #word(): string {
    const text = this.#held;
    this.#held = '';
    this.#parted = false;
    return number.test(text) ? numberText(text) : text;
  }
}
