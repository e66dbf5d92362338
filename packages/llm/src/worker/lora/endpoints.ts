import type { DistributedRuntime, EndpointPath, Instance } from '@dynamo/runtime';
import type { Adapters } from './adapters.ts';

/** An answer of an adapter endpoint with its wire names (spec lora-recorder-misc 3). */
type Answer = Readonly<Record<string, unknown>> & { readonly status: 'success' | 'error' };

/**
 * Serves `load_lora`, `unload_lora` and `list_loras` beside a model's endpoint, and the first two below `/engine`.
 *
 * The status server's `/v1/loras` asks the same handlers where `DYN_LORA_ENABLED` is set.
 */
export async function serveAdapterEndpoints(
  runtime: DistributedRuntime,
  { namespace, component }: Instance,
  { adapters, env }: { adapters: Adapters; env: Readonly<Record<string, string | undefined>> },
): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  const answers = { load_lora: loadLora(adapters, env), unload_lora: unloadLora(adapters), list_loras: listLoras(adapters) };
  for (const [name, answer] of Object.entries(answers)) {
    const handler = async function* (request: unknown): AsyncGenerator<Answer> {
      yield await answer(request);
    };
    undo.use(await runtime.serve(`${namespace}.${component}.${name}` as EndpointPath, handler));
    if (name !== 'list_loras') undo.use(runtime.route(name, answer));
  }
  return undo.move();
}

const loadLora =
  (adapters: Adapters, env: Readonly<Record<string, string | undefined>>) =>
  async (request: unknown): Promise<Answer> => {
    const read = readLoad(request);
    if (typeof read === 'string') return failure(read);
    const { name, uri } = read;
    try {
      const { id, how } = await adapters.load(name, uri, { swap: isOn(env['DYN_LORA_HOTSWAP_ENABLED']) });
      const message = `LoRA adapter '${name}' ${how === 'already loaded' ? how : `${how} successfully`}`;
      return { status: 'success', message, lora_name: name, lora_id: id, hot_swap: how === 'hot-swapped' };
    } catch (error) {
      return failure(messageOf(error), name);
    }
  };

const unloadLora =
  (adapters: Adapters) =>
  async (request: unknown): Promise<Answer> => {
    if (!isObject(request)) return failure("Request is required with 'lora_name' field");
    const { lora_name: name } = request;
    if (typeof name !== 'string' || name === '') return failure(nameMissing);
    try {
      const { id } = await adapters.unload(name);
      return { status: 'success', message: `LoRA adapter '${name}' unloaded successfully`, lora_name: name, lora_id: id };
    } catch (error) {
      return failure(messageOf(error), name);
    }
  };

const listLoras = (adapters: Adapters) => async (): Promise<Answer> => {
  const { ids } = adapters;
  return { status: 'success', loras: ids, count: Object.keys(ids).length };
};

/** The name and the URI of a load, or what is wrong with it in the real worker's words. */
function readLoad(request: unknown): { name: string; uri: string } | string {
  if (!isObject(request)) return "Request is required with 'lora_name' and 'source.uri'";
  const { lora_name: name, source } = request;
  if (typeof name !== 'string' || name === '') return nameMissing;
  if (!isObject(source) || Object.keys(source).length === 0) return "'source' object is required in request";
  const { uri } = source;
  return typeof uri === 'string' && uri !== '' ? { name, uri } : "'source.uri' is required and must be a string";
}

const nameMissing = "'lora_name' is required and must be a string";

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const failure = (message: string, name?: string): Answer => ({ status: 'error', message, ...(name === undefined ? {} : { lora_name: name }) });

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const isOn = (value: string | undefined): boolean => value !== undefined && ['1', 'true', 'yes', 'on'].includes(value.trim().toLowerCase());
