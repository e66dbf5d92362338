import type { DistributedRuntime } from '@dynamo/runtime';
import type { EndpointName } from '@dynamo/runtime/internal';
import { askPeer, peersOf, serveState } from './peers.ts';
import { readSnapshot, snapshotPath, writeSnapshot } from './snapshot-file.ts';
import { type StateFit, WarmState } from './warm-state.ts';

/** How a router begins with what others know, and leaves behind what it knows. */
export interface WarmStartOptions {
  /** Asks other routers of the same workers, and answers those that ask. */
  readonly peers?: boolean;
  /** Folder for a snapshot, written at the end and every `saveMs`. */
  readonly folder?: string;
  /** Default 60 000. */
  readonly saveMs?: number;
}

/** The best state that there is: that of a peer, else that of the snapshot. What can't be read is told to the log and passed over. */
export async function findState(
  runtime: DistributedRuntime,
  name: EndpointName,
  { peers, folder, ...fit }: WarmStartOptions & StateFit,
): Promise<WarmState | undefined> {
  const { log } = runtime;
  const attempt = async (from: string, read: () => Promise<WarmState | undefined>): Promise<WarmState | undefined> => {
    try {
      const state = await read();
      if (state !== undefined) log.info({ from, publishers: state.waiting, takenAt: state.takenAt }, 'a router begins with what another one knew');
      return state;
    } catch (error) {
      log.warn({ from, error: String(error) }, 'the state of a router is of no use: passed over');
      return undefined;
    }
  };
  if (peers === true) {
    for (const peer of await peersOf(runtime, name)) {
      const state = await attempt(`router ${peer}`, () => WarmState.read(askPeer(runtime, name, peer), fit));
      if (state !== undefined) return state;
    }
  }
  if (folder === undefined) return undefined;
  const path = snapshotPath(folder, name);
  return attempt(path, async () => {
    const frames = await readSnapshot(path);
    if (frames === undefined) return undefined;
    return WarmState.read(frames, fit);
  });
}

/** Gives the state away, and saves it, until it is disposed: then it is saved once more. */
export async function shareState(
  runtime: DistributedRuntime,
  name: EndpointName,
  { peers, folder, saveMs = 60_000, capture }: WarmStartOptions & { readonly capture: () => Uint8Array[] },
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  if (folder !== undefined) {
    const path = snapshotPath(folder, name);
    let writing: Promise<void> | undefined;
    const save = (): Promise<void> =>
      (writing ??= writeSnapshot(path, capture())
        .catch((error: unknown) => runtime.log.warn({ path, error: String(error) }, "a router's snapshot could not be written"))
        .finally(() => (writing = undefined)));
    const timer = setInterval(() => void save(), saveMs);
    timer.unref();
    stack.defer(async () => {
      clearInterval(timer);
      await writing;
      await save();
    });
  }
  if (peers === true) stack.use(await serveState(runtime, name, capture));
  return stack.move();
}
