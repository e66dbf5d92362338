import type { CallOptions } from '@dynamo/runtime';
import type { CountedEndpoint } from '../frontend/frontend-metrics.ts';
import type { AnyModel, Surface } from '../frontend/serving-model.ts';
import { readAnswer, type WorkerAnswers } from '../openai/worker-answers.ts';
import { AnswerFailed } from './answer-failed.ts';
import type { Asking } from './asking.ts';
import { failureOf } from './errors.ts';
import { callOf, modelFor, named } from './request-facts.ts';
import { itemsOfWorker } from './worker-items.ts';

/** A request whose answer is one JSON value: which model it is for and how it is counted. */
export interface WholeRequest {
  readonly model: string;
  readonly surface: Surface;
  readonly endpoint: CountedEndpoint;
}

/** Counts a request and looks its model up. */
export function beginWhole(exchange: Asking, asked: WholeRequest): AnyModel {
  exchange.begin({ model: asked.model, endpoint: asked.endpoint, stream: false });
  return modelFor(exchange.parts, asked.model, asked.surface);
}

/**
 * Sends a request to a worker and gathers everything that it says.
 *
 * Its faults are told without the status that those of the text routes have beside them (observed in 1.6.1).
 */
export async function gather<K extends keyof WorkerAnswers>(
  exchange: Asking,
  { model, kind, wire }: { model: AnyModel; kind: K; wire: unknown },
): Promise<readonly WorkerAnswers[K][]> {
  using left = exchange.watch();
  const answers: WorkerAnswers[K][] = [];
  const call: CallOptions = { ...callOf(exchange), signal: left.signal };
  try {
    for await (const batch of itemsOfWorker(model.raw, wire, call)) for (const item of batch) answers.push(readAnswer(kind, item));
  } catch (thrown) {
    const error = left.cut ?? thrown;
    if (left.cut === undefined && left.signal.aborted) throw exchange.left(error);
    throw new AnswerFailed(failureOf(named(error, model.name), { first: false }), error);
  }
  return answers;
}
