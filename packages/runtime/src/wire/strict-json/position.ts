/** A syntax or typing error in a JSON text, and where 1.6.1 reports it: `bytes` into the character at `index`. */
export class JsonFault extends Error {
  override readonly name = 'JsonFault';
  readonly index: number;
  readonly bytes: number;
  constructor(message: string, index: number, bytes = 0) {
    super(message);
    this.index = index;
    this.bytes = bytes;
  }
  /** The message with line and column. */
  describe(text: string): string {
    return `${this.message} at ${positionText(text, this.index, this.bytes)}`;
  }
}

/**
 * Where an index of a JSON text is, in the words of 1.6.1's JSON errors: lines from 1, and the number of UTF-8 bytes
 * since the line began. `bytes` more are counted for a place within a character.
 */
function positionText(text: string, index: number, bytes = 0): string {
  const head = text.slice(0, index);
  const lineStart = head.lastIndexOf('\n') + 1;
  return `line ${countLines(head, lineStart)} column ${Buffer.byteLength(head.slice(lineStart)) + bytes}`;
}

function countLines(head: string, lineStart: number): number {
  let lines = 1;
  for (let at = 0; at < lineStart; at++) if (head.charCodeAt(at) === 0x0a) lines++;
  return lines;
}
