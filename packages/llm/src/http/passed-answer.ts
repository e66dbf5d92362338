import { encodeJsonText } from '@dynamo/runtime/internal';
import { checked, textChunkTypes } from '../openai/worker-answers.ts';
import type { EventWriter } from './chat-answer.ts';
import type { Counted } from './exchange.ts';

/** A chunk of a text-input worker, which is already what the client gets (spec llm 2.6). */
export interface PassedChunk extends Counted {
  readonly value: Readonly<Record<string, unknown>>;
}

type Members = Readonly<Record<string, unknown>>;
type Route = keyof typeof textChunkTypes;

const none: readonly number[] = [];

/**
 * Reads a worker's items; `first` is added to the index of each choice, for the later ones of several prompts.
 *
 * @throws DynamoError `unknown` of origin `backend` for an item that is no chunk of the route.
 */
export async function* readPassed(
  items: AsyncIterable<readonly unknown[]>,
  { route, first = 0 }: { route: Route; first?: number },
): AsyncGenerator<readonly PassedChunk[]> {
  const type = textChunkTypes[route];
  for await (const batch of items) {
    yield batch.map((item) => {
      checked(type, item);
      const value = item as Members;
      return { tokenIds: none, value: first === 0 ? value : { ...value, choices: shifted(choicesOf(value), first) } };
    });
  }
}

const choicesOf = (value: Members): readonly Members[] => value['choices'] as readonly Members[];
const shifted = (choices: readonly Members[], by: number): readonly Members[] =>
  choices.map((choice) => ({ ...choice, index: Number(choice['index']) + by }));

/** Members that are there, in this order. */
const present = (value: Members, names: readonly string[]): Record<string, unknown> => {
  const made: Record<string, unknown> = {};
  for (const name of names) if ((value[name] ?? null) !== null) made[name] = value[name];
  return made;
};

const deltaNames = ['content', 'function_call', 'tool_calls', 'role', 'refusal', 'reasoning_content'] as const;

const chatChoice = (choice: Members): unknown => ({
  index: choice['index'],
  delta: present(choice['delta'] as Members, deltaNames),
  finish_reason: choice['finish_reason'] ?? null,
  logprobs: choice['logprobs'] ?? null,
});

const chatBody = (value: Members, choices: readonly unknown[], object: unknown): unknown => ({
  id: value['id'],
  choices,
  created: value['created'],
  model: value['model'],
  ...present(value, ['service_tier', 'system_fingerprint']),
  object,
  ...present(value, ['usage', 'nvext']),
});

const completionChoice = (choice: Members): unknown => ({
  text: choice['text'],
  index: choice['index'],
  ...present(choice, ['logprobs', 'finish_reason']),
});

const completionBody = (value: Members, choices: readonly unknown[]): unknown => ({
  id: value['id'],
  choices,
  created: value['created'],
  model: value['model'],
  system_fingerprint: value['system_fingerprint'] ?? null,
  object: value['object'],
  usage: value['usage'] ?? null,
  ...present(value, ['nvext']),
});

/** Writes chunks as events, with the members that 1.6.1 knows and in its order. */
export function passedEvents(route: Route): EventWriter<PassedChunk> {
  const body =
    route === 'chat'
      ? ({ value }: PassedChunk) => chatBody(value, choicesOf(value).map(chatChoice), value['object'])
      : ({ value }: PassedChunk) => completionBody(value, choicesOf(value).map(completionChoice));
  return { chunk: (chunk) => `data: ${encodeJsonText(body(chunk))}\n\n`, end: () => '' };
}

interface Gathered {
  content: unknown;
  role: unknown;
  refusal: string | null;
  reasoning: string | null;
  text: string;
  finish: unknown;
  logprobs: unknown;
}

/** Gathers the chunks of an answer that is sent whole: texts are joined, the first chunk names the answer, the last usage counts. */
export class PassedAnswer {
  readonly #route: Route;
  readonly #choices = new Map<number, Gathered>();
  #body: Record<string, unknown> | undefined;

  constructor(route: Route) {
    this.#route = route;
  }

  add({ value }: PassedChunk): void {
    const body = (this.#body ??= present(value, ['id', 'created', 'model', 'object']));
    Object.assign(body, present(value, ['service_tier', 'system_fingerprint', 'usage', 'nvext']));
    for (const choice of choicesOf(value)) this.#gather(choice);
  }

  text(): string {
    const choices = [...this.#choices].toSorted(([a], [b]) => a - b);
    if (this.#route === 'completions') {
      const empty = { id: '', created: 0, model: '', object: 'text_completion' };
      const made = choices.map(([index, { text, logprobs, finish }]) => completionChoice({ index, text, logprobs, finish_reason: finish }));
      return encodeJsonText(completionBody(this.#body ?? empty, made));
    }
    return encodeJsonText(chatBody(this.#body ?? { id: '', created: 0, model: '' }, choices.map(wholeChoice), 'chat.completion'));
  }

  #gather(choice: Members): void {
    const index = Number(choice['index']);
    const delta = (choice['delta'] ?? {}) as Members;
    const fresh: Gathered = { content: null, role: undefined, refusal: null, reasoning: null, text: '', finish: null, logprobs: null };
    const kept = this.#choices.get(index) ?? fresh;
    this.#choices.set(index, kept);
    kept.content = joined(kept.content, delta['content']);
    kept.role ??= delta['role'] ?? undefined;
    if (typeof delta['refusal'] === 'string') kept.refusal = (kept.refusal ?? '') + delta['refusal'];
    if (typeof delta['reasoning_content'] === 'string') kept.reasoning = (kept.reasoning ?? '') + delta['reasoning_content'];
    if (typeof choice['text'] === 'string') kept.text += choice['text'];
    kept.finish = choice['finish_reason'] ?? kept.finish;
    kept.logprobs = choice['logprobs'] ?? kept.logprobs;
  }
}

function joined(before: unknown, more: unknown): unknown {
  if (more === undefined || more === null) return before;
  if (before === null) return more;
  if (typeof before === 'string' && typeof more === 'string') return before + more;
  return Array.isArray(before) && Array.isArray(more) ? [...(before as unknown[]), ...(more as unknown[])] : before;
}

/** Calls of tools are not gathered: 1.6.1 leaves them out of such an answer, and says that it just stopped. */
const wholeChoice = ([index, choice]: readonly [number, Gathered]): unknown => ({
  index,
  message: {
    content: choice.content,
    refusal: choice.refusal,
    role: choice.role ?? 'assistant',
    ...(choice.reasoning === null ? {} : { reasoning_content: choice.reasoning }),
  },
  finish_reason: choice.finish === 'tool_calls' ? 'stop' : choice.finish,
  logprobs: choice.logprobs,
});
