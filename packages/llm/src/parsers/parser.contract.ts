import { expect } from 'vitest';
import type { AnswerParser } from './answer-parser.ts';
import type { ParserEvent } from './tools/parser.ts';

/** What was found in an answer, however it was cut. */
export interface Found {
  content: string;
  reasoning: string;
  calls: { id: string; name: string; arguments: string }[];
}

/** Reads pieces with a fresh run. */
export function read(parser: AnswerParser | undefined, pieces: Iterable<string>): Found {
  const found: Found = { content: '', reasoning: '', calls: [] };
  const run = parser?.start();
  const open = new Set<number>();
  const take = (events: readonly ParserEvent[]): void => {
    for (const event of events) {
      if (event.type === 'text') found.content += event.text;
      else if (event.type === 'reasoning') found.reasoning += event.text;
      else if (event.type === 'tool-call-start') {
        // Calls come one after the other, numbered from 0.
        expect(event.index).toBe(found.calls.length);
        found.calls.push({ id: event.id, name: event.name, arguments: '' });
        open.add(event.index);
      } else {
        expect(open.has(event.index)).toBe(true);
        if (event.type === 'tool-call-end') open.delete(event.index);
        else (found.calls[event.index] as Found['calls'][number]).arguments += event.arguments;
      }
    }
  };
  for (const piece of pieces) {
    if (run === undefined) found.content += piece;
    else take(run.push(piece));
  }
  if (run !== undefined) take(run.end());
  expect(open.size).toBe(0);
  return found;
}

/**
 * What every parser must do with every text: the same however it is cut, and nothing that was shown before a cut is taken
 * back or changed by what comes behind it.
 */
export function parserContract(parser: AnswerParser | undefined, text: string): void {
  const whole = read(parser, [text]);
  expect(read(parser, text)).toEqual(whole);
  expect(read(parser, text.split(''))).toEqual(whole);
  for (let at = 1; at < text.length; at++) expect(read(parser, [text.slice(0, at), text.slice(at)])).toEqual(whole);
  for (let at = 0; at < text.length; at++) {
    const shown = shownBy(parser, text.slice(0, at));
    const cut = read(parser, [text.slice(0, at)]);
    for (const other of [whole, cut]) {
      expect(other.content.startsWith(shown.content)).toBe(true);
      expect(other.reasoning.startsWith(shown.reasoning)).toBe(true);
      expect(other.calls.slice(0, shown.calls.length)).toEqual(shown.calls);
    }
  }
}

/** What is out before the end is known, calls that are whole. */
function shownBy(parser: AnswerParser | undefined, text: string): Found {
  const found: Found = { content: '', reasoning: '', calls: [] };
  const run = parser?.start();
  const calls: Found['calls'] = [];
  for (const event of run?.push(text) ?? []) {
    if (event.type === 'text') found.content += event.text;
    else if (event.type === 'reasoning') found.reasoning += event.text;
    else if (event.type === 'tool-call-start') calls.push({ id: event.id, name: event.name, arguments: '' });
    else if (event.type === 'tool-call-delta') (calls[event.index] as Found['calls'][number]).arguments += event.arguments;
    else found.calls.push(calls[event.index] as Found['calls'][number]);
  }
  return found;
}
