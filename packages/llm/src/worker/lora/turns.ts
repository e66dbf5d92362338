/** Has what concerns the same name happen one after the other. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs when all that was asked before for this name has ended, well or not. */
  async take<T>(name: string, run: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name);
    const turn = before === undefined ? run() : before.then(run, run);
    this.#last.set(name, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(name) === turn) this.#last.delete(name);
    }
  }
}
