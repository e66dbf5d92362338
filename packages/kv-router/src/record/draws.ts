/** Draws in 0 … 1 whose every next one follows from one 32-bit number: what is needed to draw them again. */
export class Draws {
  state: number;

  constructor(state: number) {
    this.state = state >>> 0;
  }

  /** A generator of the "mulberry" family: one addition, then the bits are mixed. */
  readonly next: () => number = () => {
    this.state = (this.state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
