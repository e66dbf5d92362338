import { type Answer, asking, done, type Route, taking } from '../http/door.ts';
import { refusal } from '../http/refusal.ts';
import { dumpToWire } from '../wire/indexer-bodies.ts';
import { overlapsToWire } from '../wire/overlap-scores.ts';
import {
  groupLoadsToWire,
  outputBlock,
  readyToWire,
  recordToWire,
  reserveBody,
  reservedToWire,
  selectBody,
  selectedToWire,
  selectPrompt,
  workerPatch,
  workerRecord,
} from '../wire/selection-bodies.ts';
import { potentialLoadToWire } from '../wire/slot-bodies.ts';
import type { CatalogEntry, Selections } from './selections.ts';

const json = (value: unknown, status = 200): Answer => ({ status, json: value });
const shown = ({ record, lifecycle, reasons }: CatalogEntry): unknown => recordToWire(record, lifecycle, reasons);

/** Every route of the selection service. */
export const selectionRoutes = (selections: Selections): Route[] => [
  ...catalogRoutes(selections),
  ...choiceRoutes(selections),
  ...reservationRoutes(selections),
  ...readRoutes(selections),
];

function catalogRoutes(selections: Selections): Route[] {
  return [
    asking('GET /workers', ({ query }) => json(selections.catalog(query).map(shown))),
    taking('POST /workers', workerRecord, async ({ body }) => json(shown(await selections.put(body)), 201)),
    taking('PATCH /workers/:id', workerPatch, async ({ body, params }) =>
      withId(params['id'], async (id) => shown(await selections.patch(id, body))),
    ),
    asking('DELETE /workers/:id', ({ params }) => withId(params['id'], async (id) => shown(await selections.remove(id)))),
  ];
}

/** Answers about the worker that a path names. */
async function withId(text = '', answer: (id: bigint) => Promise<unknown>): Promise<Answer> {
  const id = /^\+?\d{1,20}$/.test(text) ? BigInt(text.replace('+', '')) : undefined;
  if (id === undefined || id >= 1n << 64n)
    return { status: 400, text: { type: 'text/plain; charset=utf-8', body: `Invalid URL: Cannot parse \`${text}\` to a \`u64\`` } };
  return json(await answer(id));
}

function choiceRoutes(selections: Selections): Route[] {
  return [
    taking('POST /select', selectBody, async ({ body, signal }) => json(selectedToWire(await selections.select(body, signal)))),
    taking('POST /select_and_reserve', selectBody, async ({ body, signal }) => json(selectedToWire(await selections.selectAndReserve(body, signal)))),
    taking('POST /potential_loads', selectPrompt, ({ body }) => json(selections.open(body).loads(body).map(potentialLoadToWire))),
    taking('POST /overlap_scores', selectPrompt, ({ body }) => {
      const group = selections.open(body);
      const { ranks, blocks } = group.overlaps(body);
      return json(overlapsToWire(ranks, { blockSize: group.blockSize, blocks }));
    }),
  ];
}

function reservationRoutes(selections: Selections): Route[] {
  return [
    taking('POST /reservations', reserveBody, async ({ body }) => json(reservedToWire(body.selectionId, await selections.reserve(body)), 201)),
    asking('POST /reservations/:id/prefill_complete', ({ params: { id = '' } }) => {
      selections.holding(id).prefillDone(id);
      return done();
    }),
    taking('POST /reservations/:id/output_block', outputBlock, ({ body: { decayFraction: decay }, params: { id = '' } }) => {
      if (decay !== undefined && !(decay >= 0 && decay <= 1)) throw refusal(400, 'decay_fraction must be between 0.0 and 1.0');
      selections.holding(id).addOutputBlock(id, decay);
      return done();
    }),
    asking('DELETE /reservations/:id', ({ params: { id = '' } }) => {
      selections.free(id);
      return done();
    }),
  ];
}

function readRoutes(selections: Selections): Route[] {
  return [
    asking('GET /health', () => done()),
    asking('GET /ready', () => json(readyToWire(selections.schedulable, selections.catalog().map(shown)), selections.schedulable > 0 ? 200 : 503)),
    asking('GET /loads', ({ query }) =>
      json(selections.groups(query).map((group) => groupLoadsToWire(group, group.loads().map(potentialLoadToWire), group.pending))),
    ),
    asking('GET /dump', () =>
      json(Object.fromEntries(selections.groups().map((group) => [`${group.model}:${group.group}`, dumpToWire(group.blockSize, group.dump())]))),
    ),
  ];
}
