import { DynamoError } from '@dynamo/runtime';
import type { KnownBefore } from '../sources/kv-sources.ts';
import { type HeardSource, type KeptDecision, type RankChain, type RunningRequest, type SessionBinding, StateReader } from '../wire/router-state.ts';

/** What a router must be to take a state. */
export interface StateFit {
  readonly blockSize: number;
  readonly indexName: string;
  /** Puts a chain into the index; false when it could not be placed whole. */
  readonly restore: (chain: RankChain) => boolean;
}

/**
 * What another router knew, or this one before it was restarted.
 *
 * Blocks wait here until their publisher shows in discovery: of workers that are gone nothing is taken. The publisher's
 * worker is then asked for what has happened since.
 */
export class WarmState {
  readonly takenAt: number;
  readonly decisions: readonly KeptDecision[];
  readonly requests: readonly RunningRequest[];
  readonly sessions: readonly SessionBinding[];
  readonly #fit: StateFit;
  readonly #sources: ReadonlyMap<bigint, HeardSource>;
  readonly #perWorker = new Map<bigint, number>();
  readonly #chains = new Map<string, RankChain[]>();

  private constructor(fit: StateFit, parts: Parts) {
    this.#fit = fit;
    this.takenAt = parts.takenAt;
    this.decisions = parts.decisions;
    this.requests = parts.requests;
    this.sessions = parts.sessions;
    this.#sources = new Map(parts.sources.map((source) => [source.publisher, source]));
    for (const { workerId } of parts.sources) this.#perWorker.set(workerId, (this.#perWorker.get(workerId) ?? 0) + 1);
    for (const chain of parts.chains) {
      const key = keyOf(chain);
      const known = this.#chains.get(key);
      if (known === undefined) this.#chains.set(key, [chain]);
      else known.push(chain);
    }
  }

  /**
   * Reads a state to its end.
   *
   * @throws DynamoError `backend_protocol` for one that is cut, changed, of another version, or of other blocks than this router's.
   */
  static async read(frames: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, fit: StateFit): Promise<WarmState> {
    const reader = new StateReader();
    const parts: Parts = { takenAt: 0, sources: [], chains: [], decisions: [], requests: [], sessions: [] };
    for await (const bytes of frames) {
      const frame = reader.read(bytes);
      if (frame.kind === 'head') {
        if (frame.blockSize !== fit.blockSize)
          throw new DynamoError('backend_protocol', `the state is of blocks of ${frame.blockSize} tokens, here they have ${fit.blockSize}`);
        parts.takenAt = frame.takenAt;
        // Of another index only what does not depend on it is taken.
        parts.sources = frame.index === fit.indexName ? frame.sources : [];
      } else if (frame.kind === 'chains') parts.chains.push(...frame.chains);
      else if (frame.kind === 'decisions') parts.decisions.push(...frame.decisions);
      else if (frame.kind === 'requests') parts.requests.push(...frame.requests);
      else if (frame.kind === 'sessions') parts.sessions.push(...frame.sessions);
    }
    if (!reader.whole) throw new DynamoError('backend_protocol', 'the state is cut: its end is missing');
    return new WarmState(fit, parts);
  }

  /** How many publishers' blocks wait. */
  get waiting(): number {
    return this.#sources.size;
  }

  /** What is known of a publisher, once: where it goes on, and its ranks. Undefined when it must be asked for everything. */
  claim(publisher: bigint, workerId: bigint, dpRank: number): KnownBefore | undefined {
    const source = this.#sources.get(publisher);
    if (source === undefined || source.workerId !== workerId || source.dpRank !== dpRank) return undefined;
    const chains = this.#perWorker.get(workerId) === 1 ? this.#ofWorker(workerId) : (this.#chains.get(keyOf(source)) ?? []);
    for (const chain of chains) this.#chains.delete(keyOf(chain));
    const ranks = new Set(chains.map((chain) => chain.dpRank));
    return { cursor: source.cursor, ranks, restore: () => chains.every((chain) => this.#fit.restore(chain)) };
  }

  #ofWorker(workerId: bigint): RankChain[] {
    return [...this.#chains.values()].filter(([first]) => first?.workerId === workerId).flat();
  }
}

interface Parts {
  takenAt: number;
  sources: readonly HeardSource[];
  readonly chains: RankChain[];
  readonly decisions: KeptDecision[];
  readonly requests: RunningRequest[];
  readonly sessions: SessionBinding[];
}

const keyOf = ({ workerId, dpRank }: { workerId: bigint; dpRank: number }): string => `${workerId}/${dpRank}`;
