/**
 * Where an index of a JSON text is, in the words of 1.6.1's JSON errors: lines from 1, and the number of UTF-8 bytes
 * since the line began. Half an index stands for the first byte of a character that has several.
 */
export function positionText(text: string, index: number): string {
  const head = text.slice(0, Math.floor(index));
  const lineStart = head.lastIndexOf('\n') + 1;
  return `line ${countLines(head, lineStart)} column ${Buffer.byteLength(head.slice(lineStart)) + (index > head.length ? 1 : 0)}`;
}

function countLines(head: string, lineStart: number): number {
  let lines = 1;
  for (let at = head.indexOf('\n'); at !== -1 && at < lineStart; at = head.indexOf('\n', at + 1)) lines++;
  return lines;
}
