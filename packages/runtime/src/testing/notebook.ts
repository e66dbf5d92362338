import type { Logger } from '../log.ts';

/** A logger that keeps the texts of its warnings and errors. */
export function notebook(): { readonly lines: string[]; readonly log: Logger } {
  const lines: string[] = [];
  const note = (_fields: unknown, message: string): void => void lines.push(message);
  return { lines, log: { debug() {}, info() {}, warn: note, error: note } };
}
