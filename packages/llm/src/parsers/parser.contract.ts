import { expect } from 'vitest';
import type { AnswerParser } from './answer-parser.ts';
import type { ParserEvent } from './tools/parser.ts';

/** What was found in an answer, however it was cut. */
export interface Found {
  content: string;
  reasoning: string;
  calls: { id: string; name: string; arguments: string; broken?: boolean }[];
}

/** Reads pieces with a fresh run; `cut` leaves before the answer's end is known. Random ids are put in one form. */
export function read(parser: AnswerParser | undefined, pieces: Iterable<string>, options: { cut?: boolean } = {}): Found {
  const found: Found = { content: '', reasoning: '', calls: [] };
  const run = parser?.start();
  let open: number | undefined;
  const take = (events: readonly ParserEvent[]): void => {
    for (const event of events) {
      if (event.type === 'text') found.content += event.text;
      else if (event.type === 'reasoning') found.reasoning += event.text;
      else if (event.type === 'tool-call-start') {
        // Calls come one after the other, numbered from 0.
        if (event.index !== found.calls.length || open !== undefined) throw new Error(`call ${event.index} begins out of turn`);
        found.calls.push({ id: normalId(event.id), name: event.name, arguments: '' });
        open = event.index;
      } else {
        if (event.index !== open) throw new Error(`call ${event.index} goes on out of turn`);
        const call = found.calls[event.index] as Found['calls'][number];
        if (event.type !== 'tool-call-end') call.arguments += event.arguments;
        else open = undefined;
        if (event.type === 'tool-call-end' && event.broken === true) call.broken = true;
      }
    }
  };
  for (const piece of pieces) {
    if (run === undefined) found.content += piece;
    else take(run.push(piece));
  }
  if (run !== undefined && options.cut !== true) {
    take(run.end());
    if (open !== undefined) throw new Error('a call does not end');
  }
  return found;
}

const normalId = (id: string): string =>
  id.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/, '<uuid>').replace(/^call_[0-9a-f]+$/, 'call_<hex>');

/**
 * What every parser must do with every text: find the same however it is cut, and never take back or change what it has
 * shown, whatever comes next or never comes.
 */
export function parserContract(parser: AnswerParser | undefined, text: string): void {
  const whole = read(parser, [text]);
  expect(read(parser, text)).toEqual(whole);
  expect(read(parser, text.split(''))).toEqual(whole);
  const asText = JSON.stringify(whole);
  const bad: unknown[] = [];
  for (let at = 0; at <= text.length; at++) {
    const begun = text.slice(0, at);
    const split = read(parser, [begun, text.slice(at)]);
    if (JSON.stringify(split) !== asText) bad.push({ at, split });
    const shown = read(parser, [begun], { cut: true });
    const cut = read(parser, [begun]);
    if (!continues(whole, shown)) bad.push({ at, shown, whole });
    if (!continues(cut, shown)) bad.push({ at, shown, cut });
  }
  expect(bad).toEqual([]);
}

const continues = (later: Found, shown: Found): boolean =>
  later.content.startsWith(shown.content) &&
  later.reasoning.startsWith(shown.reasoning) &&
  shown.calls.every(({ id, name, arguments: text }, at) => {
    const call = later.calls[at];
    return call?.id === id && call.name === name && call.arguments.startsWith(text);
  });
