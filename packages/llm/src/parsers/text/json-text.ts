/** A JSON text without spaces, its strings in their shortest spelling and its numbers as they were written; undefined if it is none. */
export function compactJson(text: string): string | undefined {
  if (!isJson(text)) return undefined;
  return text.replace(/\s+$/, '').replace(/"(?:[^"\\]|\\.)*"|\s+/gs, (part) => (part.startsWith('"') ? respelled(part) : ''));
}

/** Whether a text is a JSON value. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const respelled = (text: string): string => (text.includes('\\') ? JSON.stringify(JSON.parse(text)) : text);

/** A member of an object, or an entry of a list, as its own text. */
export interface JsonPart {
  /** Absent in lists. */
  readonly name?: string;
  readonly text: string;
}

/** The parts of a valid JSON object or list, each as it is written there. */
export function partsOf(json: string): readonly JsonPart[] {
  const parts: JsonPart[] = [];
  const isObject = json.trimStart().startsWith('{');
  const begin = json.indexOf(isObject ? '{' : '[') + 1;
  let depth = 0;
  let from = begin;
  let name: string | undefined;
  const take = (to: number): void => {
    const text = json.slice(from, to).trim();
    if (text !== '') parts.push(name === undefined ? { text } : { name, text });
    name = undefined;
    from = to + 1;
  };
  for (let at = begin; at < json.length; at++) {
    const char = json[at];
    if (char === '"') {
      const end = stringEnd(json, at);
      if (isObject && depth === 0 && name === undefined) {
        name = JSON.parse(json.slice(at, end)) as string;
        at = json.indexOf(':', end);
        from = at + 1;
      } else at = end - 1;
    } else if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') {
      if (depth === 0) {
        take(at);
        break;
      }
      depth--;
    } else if (char === ',' && depth === 0) take(at);
  }
  return parts;
}

/** Index behind the string that begins at `at`. */
function stringEnd(json: string, at: number): number {
  for (let end = at + 1; ; end++) {
    const char = json[end];
    if (char === '\\') end++;
    else if (char === '"' || char === undefined) return end + 1;
  }
}
