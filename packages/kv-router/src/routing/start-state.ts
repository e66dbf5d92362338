import type { DistributedRuntime } from '@dynamo/runtime';
import type { EndpointName, SessionTable } from '@dynamo/runtime/internal';
import { outcome } from '../core/core.ts';
import type { KvRouterOptions } from '../options.ts';
import { captureState } from '../warm/capture.ts';
import { findState, shareState } from '../warm/warm-start.ts';
import type { WarmState } from '../warm/warm-state.ts';
import { encodeStateFrame, type RankChain, type SessionBinding } from '../wire/router-state.ts';
import type { Desk } from './desk.ts';

/** With what a router begins, and who is told of it. */
export interface Beginning {
  readonly runtime: DistributedRuntime;
  readonly warmStart: KvRouterOptions['warmStart'];
  /** Told once it is known what was taken over; before that no event counts. */
  readonly settled: (state: WarmState | undefined) => void;
  /** Given the bindings of sessions, for the client that will keep them. */
  readonly borrow: (sessions: readonly SessionBinding[]) => void;
  readonly sessions: () => SessionTable | undefined;
}

/** Takes over what others know, where that is asked for; from then on others may ask. */
export async function takeOverState(desk: Desk, name: EndpointName, begin: Beginning): Promise<AsyncDisposable | undefined> {
  const { parts, recorder } = desk;
  const { index, indexName, ranks, sequences } = parts;
  const { runtime, warmStart } = begin;
  if (warmStart === undefined) {
    desk.replicas()?.takeOver([]);
    begin.settled(undefined);
    return undefined;
  }
  const { blockSize } = parts.options;
  const takes = (frame: Parameters<typeof encodeStateFrame>[0]): void => recorder?.record({ kind: 'state', frame: encodeStateFrame(frame) });
  const restore = (chain: RankChain): boolean => {
    takes({ kind: 'chains', chains: [chain] });
    return index.restore(chain) === outcome.ok;
  };
  const state = await findState(runtime, name, { ...warmStart, blockSize, indexName, restore });
  await desk.watch().ready;
  begin.settled(state);
  // Of workers that are gone nothing is taken.
  const known = ({ workerId, dpRank }: { workerId: bigint; dpRank: number }): boolean => ranks.find(workerId, dpRank) !== undefined;
  const decisions = (state?.decisions ?? []).filter(known);
  takes({ kind: 'decisions', decisions });
  for (const decision of decisions) index.remember(decision);
  const replicas = desk.replicas();
  if (replicas !== undefined) takes({ kind: 'requests', requests: state?.requests ?? [] });
  replicas?.takeOver(state?.requests ?? []);
  begin.borrow(state?.sessions ?? []);
  const host = {
    blockSize,
    index,
    indexName,
    ranks,
    sources: desk.sources,
    requests: () => sequences.running(),
    sessions: () => bindingsOf(begin.sessions()),
  };
  return shareState(runtime, name, { ...warmStart, capture: () => captureState(host, Date.now()) });
}

const bindingsOf = (sessions: SessionTable | undefined): SessionBinding[] =>
  Array.from(sessions?.entries() ?? [], ({ session, instance, rank, sequence, writer }) => ({
    sessionId: session,
    workerId: instance,
    ...(rank === undefined ? {} : { dpRank: rank }),
    sequence,
    writerId: writer,
  }));
