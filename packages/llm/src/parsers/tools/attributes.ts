/** What stands behind `name` in a tag: a quoted text without its quotes, or what is there up to `end`. */
export function quotedName(text: string, end: string): { readonly name: string; readonly rest: string } | undefined {
  const at = text.indexOf(end);
  if (at < 0) return undefined;
  const written = text.slice(0, at).trim();
  const name = written.length > 1 && written.startsWith('"') && written.endsWith('"') ? written.slice(1, -1) : written;
  return name === '' ? undefined : { name, rest: text.slice(at + end.length) };
}

/** The parts of a text that stand between two markers, and what stands behind the last one. */
export function* between(text: string, open: string, close: string): Generator<string> {
  for (let at = text.indexOf(open); at >= 0;) {
    const from = at + open.length;
    const end = text.indexOf(close, from);
    if (end < 0) return;
    yield text.slice(from, end);
    at = text.indexOf(open, end + close.length);
  }
}
