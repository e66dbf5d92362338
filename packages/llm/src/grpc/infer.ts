import { DynamoError } from '@dynamo/runtime';
import type { AnyModel } from '../frontend/serving-model.ts';
import { fromWorker } from '../http/errors.ts';
import { callOf, named } from '../http/request-facts.ts';
import { openCompletion } from '../http/routes/completions.ts';
import type { RouteParts } from '../http/routes/parts.ts';
import { itemsOfWorker } from '../http/worker-items.ts';
import type { Inference } from './call.ts';
import type { InferRequest, InferResponse } from './messages.ts';
import { GrpcFailure, status, wordsOfWorker } from './status.ts';
import { toWorker } from './tensor-request.ts';
import { BadAnswer, fromWorkerItem } from './tensor-response.ts';
import { readText, type TextAsked, textResponse } from './text-model.ts';

/** A model as a request finds it: by what its workers are asked. */
type Found = { readonly kind: 'text' | 'tensors'; readonly model: AnyModel };

/** @throws GrpcFailure NOT_FOUND where nobody has the model, UNAVAILABLE while its workers are not all there. */
export function findModel({ models }: RouteParts, name: string): Found {
  for (const [surface, kind] of [
    ['completions', 'text'],
    ['tensor', 'tensors'],
  ] as const) {
    const model = models.find(name, surface);
    if (model === 'not-ready') throw new GrpcFailure(status.unavailable, `Model '${name}' is not ready`);
    if (model !== undefined) return { kind, model };
  }
  throw new GrpcFailure(status.notFound, `Model '${name}' not found`);
}

/** Answers a `ModelInfer`: with one response, or a status. */
export async function inferOnce(request: InferRequest, inference: Inference): Promise<InferResponse> {
  const { kind, model } = findModel(inference.asking.parts, request.model);
  try {
    const response = kind === 'text' ? await onlyText(request, inference) : await onlyTensors(request, { model, inference });
    inference.end();
    return response;
  } catch (error) {
    throw inference.fail(error);
  }
}

/** Answers one request of a `ModelStreamInfer`. Once an answer can begin, failures are messages of it (spec llm 7). */
export async function* inferStream(request: InferRequest, inference: Inference): AsyncGenerator<InferResponse | { readonly error: string }> {
  const { kind, model } = findModel(inference.asking.parts, request.model);
  const asked = kind === 'text' ? readText(request) : undefined;
  const pieces = asked === undefined ? tensorAnswers(request, { model, inference, stream: true }) : textDeltas(request, { asked, inference });
  let begun = false;
  try {
    if (asked?.stream === false) yield await wholeText(request, { asked, inference });
    else
      for await (const response of pieces) {
        begun = true;
        yield response;
      }
    inference.end();
  } catch (thrown) {
    const error = inference.fail(thrown);
    const told = asked?.stream === false || inference.signal.aborted ? undefined : messageOf(error, begun);
    if (told === undefined) throw error;
    yield { error: told };
  }
}

/** What a stream tells of a worker's failure, or of any that comes after the first response; others end the call. */
function messageOf(error: unknown, begun: boolean): string | undefined {
  if (error instanceof BadAnswer) return `Failed to convert response: ${error.message}`;
  return DynamoError.is(error) && (begun || fromWorker(error)) ? wordsOfWorker(error) : undefined;
}

async function onlyText(request: InferRequest, inference: Inference): Promise<InferResponse> {
  const asked = readText(request);
  if (asked.stream) throw new GrpcFailure(status.invalidArgument, 'Streaming is not supported for this endpoint');
  return wholeText(request, { asked, inference });
}

type TextAsking = { readonly asked: TextAsked; readonly inference: Inference };

/** A response for each piece of the answer. */
async function* textDeltas(request: InferRequest, { asked, inference }: TextAsking): AsyncGenerator<InferResponse> {
  for await (const { text, finish } of pieces(request, { asked, inference })) yield textResponse(request, [text], [finish]);
}

async function wholeText(request: InferRequest, { asked, inference }: TextAsking): Promise<InferResponse> {
  let whole = '';
  let last = '';
  for await (const { text, finish } of pieces(request, { asked, inference })) {
    whole += text;
    if (finish !== '') last = finish;
  }
  return textResponse(request, [whole], [last]);
}

/** Asks for a completion, as a client of `/v1/completions` would; parameters of the request are not looked at (spec llm 7). */
async function* pieces(request: InferRequest, { asked, inference }: TextAsking): AsyncGenerator<{ text: string; finish: string }> {
  const body = JSON.stringify({ model: request.model, prompt: asked.prompt, stream: asked.stream });
  const answer = await openCompletion(inference.asking, body);
  for await (const events of answer.events(inference.signal)) {
    for (const event of events.split('\n\n')) {
      if (!event.startsWith('data: ')) continue;
      const { choices = [] } = JSON.parse(event.slice('data: '.length)) as { choices?: { text?: string; finish_reason?: string | null }[] };
      for (const { text = '', finish_reason: finish } of choices) yield { text, finish: finish ?? '' };
    }
  }
}

type TensorAsking = { readonly model: AnyModel; readonly inference: Inference; readonly stream: boolean };

async function onlyTensors(request: InferRequest, { model, inference }: Omit<TensorAsking, 'stream'>): Promise<InferResponse> {
  const folded = (what: string): GrpcFailure => new GrpcFailure(status.internal, `Failed to fold completions stream: ${what}`);
  let only: InferResponse | undefined;
  try {
    for await (const response of tensorAnswers(request, { model, inference, stream: false })) {
      if (only !== undefined) throw folded('Multiple responses in non-streaming mode');
      only = response;
    }
  } catch (error) {
    if (error instanceof BadAnswer) throw new GrpcFailure(status.invalidArgument, `Failed to parse response: ${error.message}`, error);
    throw error;
  }
  if (only === undefined) throw folded('No response received');
  return only;
}

/** Asks a worker of a tensor model; each of its items is a response. */
async function* tensorAnswers(request: InferRequest, { model, inference, stream }: TensorAsking): AsyncGenerator<InferResponse> {
  const wire = toWorker(request);
  const { asking, signal } = inference;
  asking.begin({ model: request.model, endpoint: 'tensor', stream });
  try {
    for await (const items of itemsOfWorker(model.raw, wire, { ...callOf(asking), signal }))
      for (const item of items) yield fromWorkerItem(item, request);
  } catch (error) {
    throw named(error, model.name);
  }
}
