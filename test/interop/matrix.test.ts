import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { missing } from '../../packages/runtime/src/testing/servers.ts';
import { listen, speak, stage, type Transport, transports } from './event-peers.ts';
import { judge } from './matrix-judge.ts';
import { callTable, eventTable, page, type Row } from './matrix-page.ts';
import { discoveries, planes, type Side, sides, verbs } from './matrix-plan.ts';
import { type PairResult, runSetting } from './matrix-run.ts';
import { findPython } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
const reason = 'missing' in found ? found.missing : (missing('etcd') ?? missing('nats-server'));
if (reason !== undefined) console.warn(`skipped: ${reason}`);

const settings = discoveries.flatMap((discovery) => planes.map((plane) => ({ discovery, plane })));
const pairs = sides.flatMap((client) => sides.flatMap((worker) => settings.map((setting) => ({ client, worker, ...setting }))));
const results: PairResult[] = [];

const resultOf = (pair: (typeof pairs)[number]): PairResult => {
  const result = results.find((each) => Object.entries(pair).every(([name, value]) => each[name as 'plane'] === value));
  if (result === undefined) throw new Error('the processes of this pair did not get to their end');
  return result;
};

/** What a subscriber heard of a publisher. */
const heard = new Map<string, readonly number[]>();
const eventPairs = sides.flatMap((publisher) => sides.map((subscriber) => ({ publisher, subscriber })));
const eventKey = (over: Transport, publisher: Side, subscriber: Side): string => `${over} | ${publisher} | ${subscriber}`;

/** As many events have to come one after the other. */
const eventsWanted = 50;

/** A page that says so is never written. */
const failing = 'FAILS';

/** What a cell says; a cell whose check throws says so. */
function cell(check: () => string): string {
  try {
    return check();
  } catch {
    return failing;
  }
}

function judgeEvents(over: Transport, publisher: Side, subscriber: Side): string {
  const numbers = heard.get(eventKey(over, publisher, subscriber)) ?? [];
  expect(numbers.length).toBeGreaterThanOrEqual(eventsWanted);
  expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] ?? 0) + i));
  return 'pass';
}

const callRows = (): Row[] =>
  pairs.map((pair) => [pair.client, pair.worker, pair.discovery, pair.plane, ...verbs.map((verb) => cell(() => judge(resultOf(pair), verb)))]);
const eventRows = (): Row[] =>
  eventPairs.map(({ publisher, subscriber }) => [
    publisher,
    subscriber,
    ...transports.map((over) => cell(() => judgeEvents(over, publisher, subscriber))),
  ]);

describe.skipIf(reason !== undefined)('ours and the real 1.6.1, every pair', () => {
  afterAll(() => console.log(`${callTable(callRows())}\n\n${eventTable(eventRows())}`));

  describe('calls', () => {
    // Two settings at a time: each has four processes, and they wait more than they work.
    beforeAll(async () => {
      const open = [...settings];
      const lane = async (): Promise<void> => {
        for (let setting = open.shift(); setting !== undefined; setting = open.shift()) results.push(...(await runSetting(python, setting)));
      };
      await Promise.all([lane(), lane()]);
    }, 180_000);

    for (const pair of pairs) {
      const { client, worker, discovery, plane } = pair;
      test.for(verbs)(`client ${client} | worker ${worker} | ${discovery} | ${plane} | %s`, (verb) => {
        judge(resultOf(pair), verb);
      });
    }
  });

  describe.for(transports)('events over %s', (over) => {
    beforeAll(async () => {
      await using scenery = await stage(python, over);
      await using ours = await listen.ours(python, scenery.env);
      await using theirs = await listen.theirs(python, scenery.env);
      const ears = { ours, theirs };
      await using _our = await speak.ours(python, scenery.env);
      await using _their = await speak.theirs(python, scenery.env);
      const numbersOf = ({ publisher, subscriber }: (typeof eventPairs)[number]): number[] => ears[subscriber].numbers(publisher);
      await vi
        .waitFor(() => expect(eventPairs.every((pair) => numbersOf(pair).length >= eventsWanted)).toBe(true), { timeout: 30_000, interval: 100 })
        // Which pair has too few, its own cell tells.
        .catch(() => undefined);
      for (const pair of eventPairs) heard.set(eventKey(over, pair.publisher, pair.subscriber), numbersOf(pair));
      vi.unstubAllEnvs();
    });

    test.for(eventPairs)('publisher $publisher | subscriber $subscriber', ({ publisher, subscriber }) => {
      judgeEvents(over, publisher, subscriber);
    });
  });

  test('docs/interop.md says what was seen (vitest -u writes it)', async () => {
    const seen = page(callRows(), eventRows());
    expect(seen).not.toContain(failing);
    await expect(seen).toMatchFileSnapshot('../../docs/interop.md');
  });
});
