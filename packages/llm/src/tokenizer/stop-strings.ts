/** Watches one stream of text for stop strings (spec llm 5.4). */
export interface StopWatch {
  /** Text that may be shown now. After a match it is the last. */
  take(piece: string): string;
  /** The stop string that was found. */
  readonly matched: string | undefined;
  /** What was held as the possible beginning of a stop string. */
  flush(): string;
}

/** How found stop strings are shown. */
export interface StopStringOptions {
  /** Show the stop string itself. Then nothing is held back: whatever comes may be shown. */
  include: boolean;
}

interface Pattern {
  readonly text: string;
  /** For each prefix, the length of its longest proper prefix that is also its end (Knuth-Morris-Pratt). */
  readonly border: Int32Array;
}

/**
 * Prepares stop strings once a request; the result makes a watch for each stream, undefined when there is nothing to watch for.
 *
 * The end of a text that begins a stop string is held until the next piece disproves it. Of several stop strings that one
 * piece completes, the first of the list counts, not the first of the text.
 */
export function stopStrings(stops: readonly string[], options: StopStringOptions): (() => StopWatch) | undefined {
  const patterns = stops.filter((stop) => stop !== '').map((text): Pattern => ({ text, border: borders(text) }));
  return patterns.length === 0 ? undefined : () => watch(patterns, options);
}

function watch(patterns: readonly Pattern[], { include }: StopStringOptions): StopWatch {
  // How much of each stop string the text ends with.
  const progress = new Int32Array(patterns.length);
  let held = '';
  let matched: string | undefined;
  return {
    get matched() {
      return matched;
    },
    take(piece) {
      let longest = 0;
      for (let which = 0; which < patterns.length; which++) {
        const pattern = patterns[which] as Pattern;
        const end = advance(pattern, piece, { progress, which });
        if (end >= 0) {
          matched = pattern.text;
          const text = held + piece;
          const from = held.length;
          held = '';
          return text.slice(0, include ? from + end : from + end - pattern.text.length);
        }
        longest = Math.max(longest, progress[which] as number);
      }
      if (include || (longest === 0 && held === '')) return piece;
      const text = held + piece;
      held = text.slice(text.length - longest);
      return text.slice(0, text.length - longest);
    },
    flush() {
      const text = held;
      held = '';
      progress.fill(0);
      return text;
    },
  };
}

/** Reads a piece; the position behind the stop string's end, or -1 when it isn't complete. */
function advance({ text, border }: Pattern, piece: string, { progress, which }: { progress: Int32Array; which: number }): number {
  let length = progress[which] as number;
  for (let at = 0; at < piece.length; at++) {
    const unit = piece.charCodeAt(at);
    while (length > 0 && text.charCodeAt(length) !== unit) length = border[length - 1] as number;
    if (text.charCodeAt(length) === unit) length++;
    if (length === text.length) return at + 1;
  }
  progress[which] = length;
  return -1;
}

function borders(text: string): Int32Array {
  const border = new Int32Array(text.length);
  let length = 0;
  for (let at = 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    while (length > 0 && text.charCodeAt(length) !== unit) length = border[length - 1] as number;
    if (text.charCodeAt(length) === unit) length++;
    border[at] = length;
  }
  return border;
}
