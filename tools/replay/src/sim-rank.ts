import { MockEngine, type MockEngineOptions, type MockSequence, type Pass } from '@dynamo/internal';
import type { SimRequest } from './sim-request.ts';

/** One rank of a simulated worker. */
export class SimRank {
  /** Over the whole pool, worker by worker. */
  readonly number: number;
  readonly engine: MockEngine;
  /** The pass that runs; its effects are due at its end. */
  pass: Pass | undefined;
  /** Blocks in use while the pass runs. */
  blocksInUse = 0;

  constructor(number: number, options: MockEngineOptions) {
    this.number = number;
    this.engine = new MockEngine(options);
  }

  /** Takes room for a prompt that is read elsewhere; undefined while there is none. */
  reserve(request: SimRequest, maxOutputTokens: number): MockSequence | undefined {
    const { sequence, local } = request.prompt;
    const reserved = this.engine.reserve({ id: '', promptTokens: request.turn.input, sequence, local, maxOutputTokens });
    if (reserved !== undefined) reserved.data = request;
    return reserved;
  }

  submit(request: SimRequest, maxOutputTokens: number): MockSequence {
    const { sequence, local } = request.prompt;
    const submitted = this.engine.submit({ id: '', promptTokens: request.turn.input, sequence, local, maxOutputTokens });
    submitted.data = request;
    return submitted;
  }
}

/** What a replay knows of a sequence. */
export const requestOf = (sequence: MockSequence): SimRequest => sequence.data as SimRequest;
