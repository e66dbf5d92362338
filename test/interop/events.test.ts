import { fileURLToPath } from 'node:url';
import { DistributedRuntime } from '@dynamo/runtime';
import { collect } from '@dynamo/runtime/internal';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { missing } from '../../packages/runtime/src/testing/servers.ts';
import { ourEars, speak, stage, type Transport, transports } from './event-peers.ts';
import { startMocker } from './mocker.ts';
import { findPython } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

afterEach(() => vi.unstubAllEnvs());

const why = (over: Transport): string | undefined => ('missing' in found ? found.missing : over === 'nats' ? missing('nats-server') : undefined);

describe('events', () => {
  for (const over of transports) {
    const reason = why(over);
    test.skipIf(reason !== undefined)(
      `kv events of a real mock worker | subscriber ours | ${over}${reason === undefined ? '' : ` (${reason})`}`,
      async () => {
        await using scenery = await stage(python, over);
        const where = { namespace: 'dynamo', component: 'backend', endpoint: 'generate' };
        await using kv = await ourEars('kv-events', where);
        await using load = await ourEars('kv_metrics', where);
        await using _mocker = startMocker(python, {
          args: ['--model-path', tiny, '--model-name', 'mock', '--speedup-ratio', '10', '--block-size', '4'],
          env: scenery.env,
        });
        await using runtime = await DistributedRuntime.connect();
        const client = await runtime.client<unknown, unknown>('dynamo.backend.generate');
        const [worker] = await client.ready({ signal: AbortSignal.timeout(50_000) });
        await vi.waitFor(
          async () => {
            const request = {
              model: 'mock',
              token_ids: Array.from({ length: 40 }, () => Math.floor(Math.random() * 200)),
              stop_conditions: { max_tokens: 12, ignore_eos: true },
              sampling_options: {},
              output_options: {},
              eos_token_ids: [258],
              annotations: [],
            };
            await collect(client.generate(request));
            expect(kv.payloads().length).toBeGreaterThan(5);
            expect(load.payloads().length).toBeGreaterThan(0);
          },
          { timeout: 30_000, interval: 200 },
        );
        // An event is an array here: one of each batch. Its own numbers have no hole, as the plane's have none.
        const events = kv.payloads().flatMap((batch) => batch as unknown as { worker_id: bigint; event: { event_id: number } }[]);
        const ids = events.map(({ event }) => event.event_id);
        expect(ids).toEqual(ids.map((_, i) => (ids[0] ?? 0) + i));
        expect(new Set(events.map((event) => event.worker_id))).toEqual(new Set([worker?.id]));
        expect(kv.changes.filter((change) => change.type !== 'event').map((change) => change.type)).toEqual(['joined']);
        expect(kv.counts()).toMatchObject({ malformed: 0, missed: 0, ignored: 0 });
      },
    );
  }

  test.skipIf('missing' in found)('a real publisher that is killed is told as left, and one that starts anew as joined', async () => {
    await using scenery = await stage(python, 'zmq direct');
    await using ears = await ourEars();
    const told = (): string[] => ears.changes.filter((change) => change.type !== 'event').map((change) => change.type);
    {
      await using _speaking = await speak.theirs(python, scenery.env);
      await expect.poll(told, { timeout: 30_000 }).toEqual(['joined']);
    }
    // Its record stays for the time that it was to live.
    await expect.poll(told, { timeout: 30_000 }).toEqual(['joined', 'left']);
    await using _again = await speak.theirs(python, scenery.env);
    await expect.poll(told, { timeout: 30_000 }).toEqual(['joined', 'left', 'joined']);
    expect(new Set(ears.changes.map((change) => change.publisher)).size).toBe(2);
  });
});
