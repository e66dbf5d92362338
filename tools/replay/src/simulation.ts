import type { MockSequence } from '@dynamo/internal';
import { DynamoError } from '@dynamo/runtime';
import { Arrivals } from './arrivals.ts';
import { type HandOff, type Transfer, transferMs } from './hand-off.ts';
import { SeenPrefixes } from './metrics/seen-prefixes.ts';
import { type Sla, series, Tally } from './metrics/tally.ts';
import type { PlacementName } from './placement/index.ts';
import type { KvPlacementOptions } from './placement/kv-router.ts';
import { Pool, type PoolOptions } from './pool.ts';
import { requestOf, type SimRank } from './sim-rank.ts';
import { SimRequest } from './sim-request.ts';
import type { SimWorker } from './sim-worker.ts';
import { TimeHeap } from './time-heap.ts';
import { PromptBlocks } from './trace/prompt-blocks.ts';
import type { Turn, Workload } from './trace/turn.ts';

/** What is simulated. */
export interface SimulationOptions {
  /** Workers that generate; they read prompts as well unless there is a prefill pool. */
  readonly pool: PoolOptions;
  readonly prefill?: PoolOptions | undefined;
  /** How prompts get from one to the other. */
  readonly transfer?: Transfer | undefined;
  readonly placement: PlacementName;
  readonly kv?: KvPlacementOptions | undefined;
  /** Keeps this many sessions running and ignores when they arrive. */
  readonly concurrency?: number | undefined;
  readonly sla?: Sla | undefined;
  /** Ends the run at this time of the simulation. */
  readonly untilMs?: number | undefined;
  /** Uniform draws in 0 … 1. */
  readonly random?: (() => number) | undefined;
  /** Hears of every request that has ended. */
  readonly onEnded?: ((request: SimRequest) => void) | undefined;
  /** Also counts what a cache without limits would have had. */
  readonly achievable?: boolean | undefined;
  /** Keeps notes of every admission, for reports of single requests. */
  readonly notes?: boolean | undefined;
}

/** Runs a workload over simulated workers, on a clock of its own; resolves when the last request has ended. */
export class Simulation {
  readonly tally: Tally;
  readonly #options: SimulationOptions;
  readonly #pool: Pool;
  readonly #prefill: Pool | undefined;
  readonly #arrivals: Arrivals;
  readonly #blocks: PromptBlocks;
  readonly #busy = new TimeHeap<SimWorker>();
  readonly #travelling = new TimeHeap<HandOff>();
  readonly #handOffs = new Map<SimRequest, HandOff>();
  readonly #seen: SeenPrefixes | undefined;
  #listed: SimWorker[] = [];
  #now = 0;
  #nextId = 0;
  #inFlight = 0;
  #sessions = 0;
  #reservations = 0;

  constructor(workload: Workload, options: SimulationOptions) {
    this.#options = options;
    const { pool, prefill, placement, kv } = options;
    const prefillRanks = prefill === undefined ? 0 : prefill.workers * prefill.ranks;
    this.tally = new Tally({ ranks: prefillRanks + pool.workers * pool.ranks, sla: options.sla });
    this.#arrivals = new Arrivals(workload);
    this.#seen = options.achievable === true ? new SeenPrefixes() : undefined;
    const host = {
      clock: () => this.#now,
      random: options.random ?? Math.random,
      refuse: (request: SimRequest) => this.#end(request, 'rejected'),
    };
    const deliver = (request: SimRequest, number: number): void => this.#deliver(request, number);
    if (prefill !== undefined) this.#prefill = new Pool(prefill, { firstId: 0, placement, kv, host: { ...host, deliver } });
    this.#pool = new Pool(pool, {
      firstId: prefill?.workers ?? 0,
      placement,
      kv,
      host: { ...host, deliver: prefill === undefined ? deliver : (request, number) => this.#destine(request, number) },
    });
    this.#blocks = new PromptBlocks(workload.blockSize, this.#pool.blockSize);
  }

  /** The time of the simulation. */
  get now(): number {
    return this.#now;
  }

  async run(): Promise<Tally> {
    const { untilMs = Infinity } = this.#options;
    while (true) {
      if (!this.#arrivals.ready) await this.#arrivals.read();
      const arrival = Math.max(this.#now, this.#arrivals.timeOf(this.#hasRoom));
      const next = Math.min(this.#busy.time, this.#travelling.time, arrival);
      if (next === Infinity || next > untilMs) break;
      this.#now = next;
      while (this.#busy.time <= next) this.#finish(this.#busy.pop() as SimWorker);
      while (this.#travelling.time <= next) this.#activate(this.#travelling.pop() as HandOff);
      while (this.#admit()) await this.#arrivals.read();
      this.#start();
    }
    if (this.#inFlight > 0 && untilMs === Infinity) throw this.#stuck();
    return this.tally;
  }

  /** Whether a session may begin: one holds its place until its last turn has ended. */
  get #hasRoom(): boolean {
    return this.#sessions < (this.#options.concurrency ?? Infinity);
  }

  /** Takes up what has come by now; true when more of the workload must be read first. Only then is there a promise to wait for. */
  #admit(): boolean {
    while (this.#arrivals.ready) {
      const turn = this.#arrivals.take(this.#now, this.#hasRoom);
      if (turn === undefined) return false;
      if (turn.turn === 0) this.#sessions++;
      this.#arrive(turn);
    }
    return true;
  }

  #arrive(turn: Turn): void {
    const timed = this.#options.concurrency === undefined;
    const arrivalMs = timed ? (turn.arrivalMs ?? this.#now) : this.#now;
    const request = new SimRequest(this.#nextId++, { turn, prompt: this.#blocks.hashes(turn.ids, turn.input), arrivalMs });
    if (this.#options.notes === true) request.notes = [];
    this.#inFlight++;
    this.tally.arrived(arrivalMs);
    const known = this.#seen?.take(request.prompt.sequence);
    if (known !== undefined) this.tally.overTime.add(series.achievableTokens, this.#now, known * this.#pool.blockSize);
    (this.#prefill ?? this.#pool).placement.place(request);
  }

  #deliver(request: SimRequest, number: number): void {
    const { worker, rank } = (this.#prefill ?? this.#pool).at(number);
    if (this.#prefill === undefined) request.rank = number;
    else request.prefillRank = number;
    rank.submit(request, request.turn.output);
    this.#list(worker);
  }

  #list(worker: SimWorker): void {
    if (worker.isListed || worker.isRunning) return;
    worker.isListed = true;
    this.#listed.push(worker);
  }

  /** Begins a pass on every worker that has something to do and does nothing. One that can do nothing waits for its next request. */
  #start(): void {
    const listed = this.#listed;
    this.#listed = [];
    for (const worker of listed) {
      worker.isListed = false;
      if (worker.isRunning) continue;
      if (worker.isIdle || !worker.begin(this.#now)) continue;
      this.#busy.push(worker.endMs, worker.id, worker);
      const isPrefill = this.#isPrefill(worker);
      for (const { pass } of worker.ranks)
        for (const { sequence, cachedTokens } of pass?.admissions ?? []) this.#admitted(requestOf(sequence), cachedTokens, isPrefill);
    }
  }

  #isPrefill(worker: SimWorker): boolean {
    return worker.id < (this.#prefill?.workers.length ?? 0);
  }

  #admitted(request: SimRequest, cachedTokens: number, isPrefill: boolean): void {
    const splits = this.#prefill !== undefined;
    const generates = splits && !isPrefill;
    if (generates) {
      request.decodeCachedTokens = cachedTokens;
      if (Number.isNaN(request.decodeAdmitMs)) request.decodeAdmitMs = this.#now;
    } else request.cachedTokens = cachedTokens;
    if (request.admissions++ === 0) {
      request.firstAdmitMs = this.#now;
      request.firstCachedTokens = cachedTokens;
      if (splits) request.prefillAdmitMs = this.#now;
    }
    if (!generates) {
      this.tally.overTime.add(series.promptTokens, this.#now, request.turn.input);
      this.tally.overTime.add(series.cachedTokens, this.#now, Math.min(cachedTokens, request.turn.input));
    }
    request.notes?.push({ atMs: this.#now, cachedTokens, pool: splits ? (isPrefill ? 'prefill' : 'decode') : 'agg' });
  }

  /** What a pass did shows now. */
  #finish(worker: SimWorker): void {
    const isPrefill = this.#isPrefill(worker);
    const { placement } = isPrefill ? (this.#prefill as Pool) : this.#pool;
    const firstRank = isPrefill || this.#prefill === undefined ? 0 : this.#prefill.workers.length * this.#prefill.ranks;
    for (const rank of worker.ranks) {
      const { pass } = rank;
      if (pass === undefined) continue;
      this.tally.load.addSpan(firstRank + rank.number, pass.startMs, worker.endMs, rank.blocksInUse);
      this.tally.preemptions += pass.preemptions;
      this.tally.committedPrefillTokens += pass.prefillTokens;
      if (!isPrefill) this.#tokens(pass.emitted, worker);
      if (placement.hears) placement.changed(rank.number, pass.changes);
      for (const sequence of pass.completed) {
        if (isPrefill) this.#hold(sequence, worker, rank);
        else this.#end(requestOf(sequence), 'completed');
      }
      for (const sequence of pass.rejected) this.#end(requestOf(sequence), 'rejected');
    }
    worker.end();
    this.#settle(worker);
    this.#list(worker);
  }

  #tokens(emitted: readonly MockSequence[], { endMs, lastEndMs }: SimWorker): void {
    const { placement } = this.#pool;
    // Most requests got their last token at the end of the pass before: their gaps are one number.
    let together = 0;
    for (const sequence of emitted) {
      const request = requestOf(sequence);
      if (request.tokens++ === 0) {
        request.firstTokenMs = endMs;
        placement.prefillDone(request);
      } else {
        if (request.tokens === 2) request.secondTokenMs = endMs;
        if (request.lastTokenMs === lastEndMs) together++;
        else this.tally.gaps(endMs - request.lastTokenMs, 1);
      }
      request.lastTokenMs = endMs;
    }
    if (together > 0) this.tally.gaps(endMs - lastEndMs, together);
    if (placement.hears) for (const sequence of emitted) placement.output(requestOf(sequence), 1);
  }

  /** A prompt has been read: a decode worker is chosen, which fetches it when it has room. */
  #hold(held: MockSequence, from: SimWorker, fromRank: SimRank): void {
    const request = requestOf(held);
    request.heldMs = this.#now;
    const { placement } = this.#prefill as Pool;
    placement.prefillDone(request);
    placement.ended(request);
    this.#handOffs.set(request, { request, from, fromRank, held, to: undefined, toRank: undefined, reserved: undefined, order: 0 });
    this.#pool.placement.place(request);
  }

  #destine(request: SimRequest, number: number): void {
    const handOff = this.#handOffs.get(request);
    if (handOff === undefined) return;
    const { worker, rank } = this.#pool.at(number);
    handOff.to = worker;
    handOff.toRank = rank;
    if (!rank.engine.canHold(request.turn.input)) {
      this.#handOffs.delete(request);
      this.#end(request, 'failed');
      this.#letGo(handOff);
      return;
    }
    request.rank = number;
    worker.toReserve.push(handOff);
    if (!worker.isRunning) this.#reserve(worker);
  }

  /** Between passes: what others have fetched is let go, prompts that have arrived are taken up, and room is made for one that comes. */
  #settle(worker: SimWorker): void {
    const { arrived, fetched } = worker;
    worker.arrived = [];
    worker.fetched = [];
    for (const handOff of fetched) this.#release(handOff);
    if (this.#isPrefill(worker)) return;
    // In the order in which room was made, however long each of them travelled.
    for (const handOff of arrived.toSorted((a, b) => a.order - b.order)) this.#join(handOff);
    this.#reserve(worker);
  }

  /** Makes room for the prompt that waits longest: one at a time, at each end of a pass and at each arrival of a prompt, as 1.6.1 does. */
  #reserve(worker: SimWorker): void {
    const handOff = worker.toReserve[0];
    if (handOff === undefined) return;
    const { request } = handOff;
    handOff.reserved = (handOff.toRank as SimRank).reserve(request, request.turn.output);
    if (handOff.reserved === undefined) return;
    worker.toReserve.shift();
    request.reservedMs = this.#now;
    handOff.order = this.#reservations++;
    const delay = transferMs(this.#options.transfer ?? { msPerToken: undefined, missingOnly: false }, handOff, this.#pool.blockSize);
    if (delay === 0) this.#join(handOff);
    else this.#travelling.push(this.#now + delay, request.id, handOff);
  }

  /** A prompt has arrived; its worker takes it up when its pass has ended. */
  #activate(handOff: HandOff): void {
    const to = handOff.to as SimWorker;
    if (to.isRunning) to.arrived.push(handOff);
    else this.#join(handOff);
  }

  #join(handOff: HandOff): void {
    const { request, toRank, reserved } = handOff;
    const to = handOff.to as SimWorker;
    (toRank as SimRank).engine.activate(reserved as MockSequence);
    request.activatedMs = this.#now;
    this.#handOffs.delete(request);
    this.#letGo(handOff);
    this.#list(to);
    this.#reserve(to);
  }

  #letGo(handOff: HandOff): void {
    if (handOff.from.isRunning) handOff.from.fetched.push(handOff);
    else {
      this.#release(handOff);
      this.#list(handOff.from);
    }
  }

  #release({ request, fromRank, held }: HandOff): void {
    fromRank.engine.release(held);
    if (request.outcome !== 'failed') request.releasedMs = this.#now;
  }

  #end(request: SimRequest, outcome: 'completed' | 'rejected' | 'failed'): void {
    request.outcome = outcome;
    request.endMs = this.#now;
    this.#inFlight--;
    if (request.turn.next === undefined) this.#sessions--;
    this.tally.ended(request);
    if (request.rank >= 0) this.#pool.placement.ended(request);
    else if (request.prefillRank >= 0) this.#prefill?.placement.ended(request);
    this.#arrivals.ended(request.turn, this.#now);
    this.#options.onEnded?.(request);
  }

  #stuck(): DynamoError {
    const kind = this.#prefill === undefined ? 'replay detected' : 'disagg replay encountered';
    return new DynamoError(
      'invalid_argument',
      `replay invariant violated: offline ${kind} an effect-free zero-duration pass with ${this.#inFlight} in-flight requests remaining`,
      { data: { inFlight: this.#inFlight } },
    );
  }
}
