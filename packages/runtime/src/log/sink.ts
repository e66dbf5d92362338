/** Where lines go: the part of a stream that is needed. */
export interface LineStream {
  readonly writableLength: number;
  write(text: string): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'error', listener: (error: Error) => void): unknown;
}

/** Takes lines and never waits, throws or keeps more than its limit. */
export interface LineSink {
  write(line: string): void;
  /** Hands over what was gathered in this turn. */
  flush(): void;
  /** Lets go of the stream. */
  [Symbol.dispose](): void;
}

/** How much may wait for a reader that is slow, in bytes: some thousand lines. */
const defaultMaxWaiting = 1024 * 1024;

/**
 * Writes the lines of one turn together. While too much waits for the reader, lines are left out and counted; `leftOut` makes
 * the line that says how many, once there is room again. A stream that fails is not written to any more.
 */
export function lineSink(stream: LineStream, options: { leftOut: (count: number) => string; maxWaiting?: number }): LineSink {
  const limit = options.maxWaiting ?? defaultMaxWaiting;
  let gathered = '';
  let missing = 0;
  let broken = false;
  // Nobody is left to be told of it: the reader of the log has gone.
  const onError = (): void => void (broken = true);
  stream.on('error', onError);
  const flush = (): void => {
    if (gathered === '') return;
    const text = gathered;
    gathered = '';
    if (!broken) stream.write(text);
  };
  const add = (line: string): void => {
    if (gathered === '') process.nextTick(flush);
    gathered += line;
  };
  return {
    write(line) {
      if (broken) return;
      if (stream.writableLength + gathered.length + line.length > limit) {
        missing++;
        return;
      }
      if (missing > 0) {
        const count = missing;
        missing = 0;
        add(options.leftOut(count));
      }
      add(line);
    },
    flush,
    [Symbol.dispose]() {
      flush();
      stream.off('error', onError);
    },
  };
}
