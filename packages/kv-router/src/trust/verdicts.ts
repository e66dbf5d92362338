/** How many of the newest verdicts count, and how few are too few to judge by. */
const kept = 16;
const enough = 8;

/** The newest verdicts on a prediction: right or wrong. */
export class Verdicts {
  /** Bits of the newest ones, the newest lowest; 1 is wrong. */
  #bits = 0;
  #count = 0;
  #wrong = 0;

  /** At least half of enough verdicts are wrong. */
  get mostlyWrong(): boolean {
    return this.#count >= enough && this.#wrong * 2 >= this.#count;
  }

  /** At most a quarter of enough verdicts are wrong. */
  get mostlyRight(): boolean {
    return this.#count >= enough && this.#wrong * 4 <= this.#count;
  }

  /** At least a quarter of those that there are is wrong. */
  get someWrong(): boolean {
    return this.#wrong > 0 && this.#wrong * 4 >= this.#count;
  }

  add(wrong: boolean): void {
    if (this.#count === kept) this.#wrong -= (this.#bits >>> (kept - 1)) & 1;
    else this.#count++;
    this.#bits = ((this.#bits << 1) | (wrong ? 1 : 0)) & (2 ** kept - 1);
    if (wrong) this.#wrong++;
  }

  clear(): void {
    this.#bits = 0;
    this.#count = 0;
    this.#wrong = 0;
  }
}
