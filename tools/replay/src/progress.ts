/** Draws how far a run is, on a terminal, at most ten times a second; silent elsewhere. */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #label: string;
  readonly #began = performance.now();
  #drawn = -Infinity;

  constructor(label: string, stream: NodeJS.WriteStream = process.stderr) {
    this.#label = label;
    this.#stream = stream;
  }

  /** Tells how many of how many are done. */
  at(done: number, total: number | undefined): void {
    if (!this.#stream.isTTY) return;
    const now = performance.now();
    if (now - this.#drawn < 100) return;
    this.#drawn = now;
    this.#stream.write(`\r\u001b[K${progressLine(this.#label, { done, total, elapsedMs: now - this.#began })}`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#stream.isTTY && this.#drawn > -Infinity) this.#stream.write('\r\u001b[K');
  }
}

/** One line: a bar, how many, how fast, and how long it may still take. */
export function progressLine(label: string, { done, total, elapsedMs }: { done: number; total: number | undefined; elapsedMs: number }): string {
  const rate = elapsedMs > 0 ? (done / elapsedMs) * 1_000 : 0;
  const speed = `${Math.round(rate).toLocaleString('en')}/s`;
  if (total === undefined || total === 0) return `${label} ${done.toLocaleString('en')} requests, ${speed}`;
  const width = 24;
  const part = Math.min(1, done / total);
  const full = Math.round(part * width);
  const left = rate > 0 ? ` ${Math.ceil((total - done) / rate)} s left` : '';
  return `${label} [${'#'.repeat(full)}${'.'.repeat(width - full)}] ${Math.floor(part * 100)} % ${done.toLocaleString('en')} of ${total.toLocaleString('en')}, ${speed}${left}`;
}
