/** Most steps of a timeline; when the run gets longer, each step becomes twice as long. */
const mostSteps = 256;

/** Sums over equal steps of time, for plots: as many steps however long the run is. */
export class Timeline {
  readonly #series: Float64Array[];
  #stepMs = 1;
  #used = 0;

  constructor(series: number) {
    this.#series = Array.from({ length: series }, () => new Float64Array(mostSteps));
  }

  /** Length of a step. */
  get stepMs(): number {
    return this.#stepMs;
  }

  /** Adds to the step that a moment lies in. */
  add(series: number, atMs: number, amount: number): void {
    const step = this.#stepOf(atMs);
    const sums = this.#series[series];
    if (sums !== undefined) sums[step] = (sums[step] ?? 0) + amount;
  }

  /** Adds to all steps that a span covers, to each by how long. */
  addSpan(series: number, fromMs: number, toMs: number, height: number): void {
    if (toMs <= fromMs) return;
    this.#stepOf(toMs);
    const sums = this.#series[series];
    if (sums === undefined) return;
    for (let step = Math.floor(fromMs / this.#stepMs); step * this.#stepMs < toMs && step < mostSteps; step++) {
      const inside = Math.min(toMs, (step + 1) * this.#stepMs) - Math.max(fromMs, step * this.#stepMs);
      sums[step] = (sums[step] ?? 0) + height * inside;
    }
  }

  /** The sums of one series up to the last step in use. */
  values(series: number): readonly number[] {
    return [...(this.#series[series] ?? []).slice(0, this.#used)];
  }

  #stepOf(atMs: number): number {
    while (atMs >= this.#stepMs * mostSteps) this.#double();
    const step = Math.max(0, Math.floor(atMs / this.#stepMs));
    if (step >= this.#used) this.#used = step + 1;
    return step;
  }

  #double(): void {
    for (const sums of this.#series) {
      for (let step = 0; step < mostSteps / 2; step++) sums[step] = (sums[2 * step] ?? 0) + (sums[2 * step + 1] ?? 0);
      sums.fill(0, mostSteps / 2);
    }
    this.#used = Math.ceil(this.#used / 2);
    this.#stepMs *= 2;
  }
}
