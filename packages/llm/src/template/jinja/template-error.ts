/** What a template can do wrong, with the line of its source where that is known. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  readonly line: number | undefined;

  constructor(message: string, line?: number) {
    super(line === undefined ? message : `${message} (line ${line})`);
    this.line = line;
  }
}

/** Longest text, in UTF-16 units, that an operation may build: far beyond any context window, far below what would fill the memory. */
const maxText = 1 << 26;

/** Longest `range`; Jinja2's sandbox has the same limit. */
export const maxRange = 100_000;

/** Loop rounds of one rendering, all loops together. */
export const maxRounds = 5_000_000;

/** Deepest nesting: of an expression's or block's source, of macro calls, of printed values. */
export const maxDepth = 200;

/** Refuses a text that would be too long, before it is built. */
export function checkText(length: number): void {
  if (length > maxText) throw new TemplateError(`a text of ${length} characters is too long`);
}
