import { createReadStream } from 'node:fs';
import { traceError } from './row.ts';

/** A line that is not blank, and its number. */
export interface Line {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** The lines of files, one list for each piece that was read: files may be longer than memory. */
export async function* linesOf(files: readonly string[]): AsyncIterable<readonly Line[]> {
  for (const file of files) {
    let rest = '';
    let number = 0;
    const take = (texts: readonly string[]): Line[] =>
      texts.flatMap((text) => {
        number++;
        return text.trim() === '' ? [] : [{ file, line: number, text }];
      });
    try {
      for await (const piece of createReadStream(file, { encoding: 'utf8', highWaterMark: 256 * 1024 }) as AsyncIterable<string>) {
        const texts = (rest + piece).split('\n');
        rest = texts.pop() ?? '';
        const lines = take(texts);
        if (lines.length > 0) yield lines;
      }
    } catch (cause) {
      throw (cause as NodeJS.ErrnoException).code === undefined
        ? cause
        : traceError(`failed to open trace file ${file}: ${(cause as Error).message}`);
    }
    const last = take([rest]);
    if (last.length > 0) yield last;
  }
}
