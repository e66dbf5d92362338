import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@dynamo/runtime';
import type { Pair } from '../budget/pools.ts';
import { checkConfig, type PlannerConfig, rolesOf } from '../config.ts';
import type { Connector } from '../connect/connector.ts';
import type { Decision } from '../decision.ts';
import { decideByLoad } from '../load/decide.ts';
import { type ForecastOptions, TrafficForecast } from '../predict/forecast.ts';
import { decideByThroughput, type Slas } from '../throughput/decide.ts';
import type { TrafficSource } from '../traffic/source.ts';
import type { Fleet } from './fleet.ts';

/** A planner that runs. */
export interface PlannerParts {
  readonly config: PlannerConfig;
  readonly connector: Connector;
  readonly fleets: Readonly<Partial<Record<keyof Pair, Fleet>>>;
  readonly gpus: Pair;
  /** Decides by load this often, unless absent. */
  readonly loadSeconds?: number;
  /** Decides by throughput this often, unless absent. */
  readonly throughput?: {
    readonly seconds: number;
    readonly source: TrafficSource;
    readonly slas: Slas;
    readonly forecast: ForecastOptions;
    readonly mostStep: number;
  };
  /** Decides and tells, but changes nothing. */
  readonly advisory?: boolean;
  readonly log: Logger;
  /** Hears of every decision. */
  readonly onDecision?: (decision: Decision & { readonly by: 'load' | 'throughput' }) => void;
}

/** Decides at its intervals until the signal aborts; a decision that fails is told, and the next one is made in its time. */
export async function runPlanner(parts: PlannerParts, { signal }: { readonly signal: AbortSignal }): Promise<void> {
  const { config, connector, log, loadSeconds, throughput } = parts;
  checkConfig(config, parts.gpus);
  const planner = new Rounds(parts);
  if (parts.advisory !== true) await connector.scale(planner.smallest());
  const steps = [
    ...(throughput === undefined ? [] : [{ seconds: throughput.seconds, name: 'throughput' as const }]),
    ...(loadSeconds === undefined ? [] : [{ seconds: loadSeconds, name: 'load' as const }]),
  ].map((step) => ({ ...step, due: performance.now() + step.seconds * 1_000 }));
  while (!signal.aborted && steps.length > 0) {
    const next = Math.min(...steps.map(({ due }) => due));
    await sleep(Math.max(0, next - performance.now()), undefined, { signal }).catch(() => {});
    for (const step of steps) {
      if (signal.aborted) return;
      if (step.due > performance.now()) continue;
      step.due = performance.now() + step.seconds * 1_000;
      try {
        await planner[step.name](signal);
      } catch (error) {
        if (!signal.aborted) log.error({ by: step.name, error: String(error) }, 'no decision this time');
      }
    }
  }
}

class Rounds {
  readonly #parts: PlannerParts;
  readonly #forecast: TrafficForecast;
  #bound: { prefill: number | null; decode: number | null } | undefined;

  constructor(parts: PlannerParts) {
    this.#parts = parts;
    this.#forecast = new TrafficForecast(parts.throughput?.forecast, (text) => parts.log.warn({}, text));
  }

  /** The fewest workers of each role that is planned: what a service begins with. */
  smallest(): { prefill: number | null; decode: number | null } {
    const { config, connector } = this.#parts;
    const roles = rolesOf(config.mode);
    const of = (role: keyof Pair): number | null => (roles.includes(role) ? (connector.wanted[role] ?? Math.max(1, config.floors[role])) : null);
    return { prefill: of('prefill'), decode: of('decode') };
  }

  async load(): Promise<void> {
    const { config } = this.#parts;
    const { prefill, decode } = await this.#states();
    const decision = decideByLoad(
      {
        ...(prefill === undefined ? {} : { prefill }),
        ...(decode === undefined ? {} : { decode }),
        ...(this.#bound === undefined ? {} : { bound: this.#bound }),
      },
      config,
    );
    await this.#carryOut(decision, 'load');
  }

  async throughput(signal: AbortSignal): Promise<void> {
    const { throughput, config, gpus, loadSeconds } = this.#parts;
    if (throughput === undefined) return;
    this.#forecast.observe(await throughput.source.read({ signal }));
    const { prefill, decode } = await this.#states();
    const roleOf = (role: keyof Pair, state: Awaited<ReturnType<Fleet['state']>> | undefined) =>
      state === undefined
        ? {}
        : {
            [role]: {
              current: state.expected ?? state.ready,
              gpus: gpus[role],
              limits: state.limits ?? nothing,
              model: state.limits === undefined ? undefined : state.model,
            },
          };
    const decision = decideByThroughput(
      {
        traffic: this.#forecast.predict(),
        intervalSeconds: throughput.seconds,
        slas: throughput.slas,
        mostStep: throughput.mostStep,
        ...roleOf('prefill', prefill),
        ...roleOf('decode', decode),
      },
      config,
    );
    // With both, what throughput needs is only a bound for what load decides (spec planner 6).
    if (loadSeconds !== undefined) this.#bound = { prefill: decision.prefill, decode: decision.decode };
    await this.#carryOut(decision, 'throughput', loadSeconds !== undefined);
  }

  async #states(): Promise<{ [R in keyof Pair]: Awaited<ReturnType<Fleet['state']>> | undefined }> {
    const { fleets, connector, advisory } = this.#parts;
    const expected = (role: keyof Pair): number | null => (advisory === true ? null : connector.wanted[role]);
    return { prefill: await fleets.prefill?.state(expected('prefill')), decode: await fleets.decode?.state(expected('decode')) };
  }

  async #carryOut(decision: Decision, by: 'load' | 'throughput', onlyBound = false): Promise<void> {
    const { connector, log, advisory, onDecision } = this.#parts;
    const { prefill, decode, reason } = decision;
    log[reason === 'scale_up' || reason === 'scale_down' ? 'info' : 'debug']({ by, prefill, decode, reason, advisory: advisory === true }, 'decided');
    onDecision?.({ ...decision, by });
    if (advisory === true || onlyBound) return;
    await connector.scale({ prefill, decode });
  }
}

const nothing = { maxBatchedTokens: 0, maxSequences: 0, maxKvTokens: 0 };
