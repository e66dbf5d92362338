import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stopStrings, type StopWatch } from './stop-strings.ts';

const watch = (stops: readonly string[], include = false): StopWatch => stopStrings(stops, { include })!();
const feed = (stops: readonly string[], pieces: readonly string[], include = false): { shown: string[]; matched: string | undefined } => {
  const watching = watch(stops, include);
  const shown: string[] = [];
  for (const piece of pieces) {
    shown.push(watching.take(piece));
    if (watching.matched !== undefined) return { shown, matched: watching.matched };
  }
  return { shown: [...shown, watching.flush()], matched: undefined };
};

test.each([
  ['over pieces', ['END'], ['a', 'E', 'N', 'D'], ['a', '', '', ''], 'END'],
  ['inside a piece', ['ox'], ['boxes'], ['b'], 'ox'],
  ['disproved', ['END'], ['a', 'E', 'N', 'b', 'EN'], ['a', '', '', 'ENb', '', 'EN'], undefined],
  ['partly disproved', ['aab'], ['a', 'a', 'a', 'b'], ['', '', 'a', ''], 'aab'],
  ['the first of the list counts', ['b', 'a'], ['xab'], ['xa'], 'b'],
  ['astral characters are whole', ['😀!'], ['😀', '😁'], ['', '😀😁', ''], undefined],
  ['empty stop strings are no stop strings', ['', 'x'], ['a', 'x'], ['a', ''], 'x'],
])('%s', (_name, stops, pieces, shown, matched) => {
  expect(feed(stops, pieces)).toEqual({ shown, matched });
});

test('an included stop string is shown as it comes, up to its end', () => {
  expect(feed(['END'], ['aE', 'N', 'Dx'], true)).toEqual({ shown: ['aE', 'N', 'D'], matched: 'END' });
});

test('nothing to watch for is no watch', () => {
  expect(stopStrings([], { include: false })).toBeUndefined();
  expect(stopStrings([''], { include: false })).toBeUndefined();
});

test('any text over any pieces: what is shown is the text before the stop string, held no longer than needed', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 6 });
  fc.assert(
    fc.property(
      fc.array(letters, { maxLength: 8 }),
      letters.filter((stop) => stop !== ''),
      (pieces, stop) => {
        const { shown, matched } = feed([stop], pieces);
        const text = pieces.join('');
        const found = text.indexOf(stop);
        expect(matched).toBe(found < 0 ? undefined : stop);
        expect(shown.join('')).toBe(found < 0 ? text : text.slice(0, found));
        // Whatever is held is the longest end of the text so far that begins the stop string.
        const watching = watch([stop]);
        let seen = '';
        let out = '';
        for (const piece of pieces) {
          seen += piece;
          out += watching.take(piece);
          if (watching.matched !== undefined) return;
          let held = stop.length - 1;
          while (!seen.endsWith(stop.slice(0, held))) held--;
          expect(out.length).toBe(seen.length - held);
        }
      },
    ),
    { numRuns: 2000, seed: 5 },
  );
});
