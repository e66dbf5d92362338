import { parentPort } from 'node:worker_threads';
import { type ReplayOptions, replayOffline } from '../replay.ts';
import type { WireSummary } from '../wire/report.ts';

/** What the thread answers. */
export interface SweepAnswer {
  readonly summary?: WireSummary;
  readonly error?: string;
}

async function answer(options: ReplayOptions): Promise<SweepAnswer> {
  try {
    return { summary: (await replayOffline(options)).report.summary };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on('message', (options: ReplayOptions) => void answer(options).then((result) => parentPort?.postMessage(result)));
