import { type ChatRequest, chatFloats } from './chat.ts';
import { type CompletionRequest, completionFloats } from './completions.ts';
import { templateVariables } from '../template/variables.ts';
import { isMap } from './spelling.ts';
import { wireRequest, withSingles } from './wire-form.ts';

type Members = Readonly<Record<string, unknown>>;

/** A chat request as a text-input worker gets it (spec llm 2.6). */
export function passedChat(request: ChatRequest): Record<string, unknown> {
  const messages = request.messages.map((message) => passedMessage(message as unknown as Members));
  const variables = templateVariables(request);
  return withSingles({ ...passed({ ...request, chat_template_args: variables, ...usageMembers(request) }), messages }, chatFloats);
}

/** Members that are checked and go no further (observed in 1.6.1). */
const dropped = ['thinking', 'settled_variables', 'cache_salt', 'stop_token_ids', 'detokenize', 'allowed_token_ids', 'bad_words_token_ids'] as const;

function passed(request: object): Record<string, unknown> {
  const wire = wireRequest(request);
  for (const name of dropped) delete wire[name];
  return wire;
}

/** A completion request for one of its prompts. */
export const passedCompletion = (request: CompletionRequest, prompt: string | readonly number[]): Record<string, unknown> =>
  withSingles(passed({ ...request, prompt, ...usageMembers(request) }), completionFloats);

/** Both members are always there once one is. */
function usageMembers({ stream_options: options }: ChatRequest | CompletionRequest): object {
  if (options === undefined || options === null) return {};
  return { stream_options: { include_usage: options.include_usage ?? false, continuous_usage_stats: options.continuous_usage_stats ?? false } };
}

/** One message of it; `part` writes the parts of its content. */
export function passedMessage(message: Members, part: (part: unknown) => unknown = passedPart): Record<string, unknown> {
  const made = wireRequest(message);
  if (Array.isArray(made['content'])) made['content'] = made['content'].map(part);
  return made;
}

/** An image's `detail` is written even when nothing is said about it. */
function passedPart(part: unknown): unknown {
  if (!isMap(part)) return part;
  const { image_url: image } = part as Members;
  return isMap(image) ? { ...part, image_url: { ...image, detail: (image as Members)['detail'] ?? null } } : part;
}
