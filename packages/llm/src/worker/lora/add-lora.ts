import { DynamoError } from '@dynamo/runtime';
import type { Adapters } from './adapters.ts';

/** Offers an adapter until what this gives is disposed; see `ServedModel.addLora`. */
export async function addLora(adapters: Adapters, { name, path }: { name: string; path: string }): Promise<AsyncDisposable> {
  const { how } = await adapters.load(name, path);
  if (how === 'already loaded') throw new DynamoError('invalid_argument', `LoRA adapter '${name}' is already loaded`, { data: { adapter: name } });
  const adapter = adapters.find(name);
  let ending: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    try {
      await adapters.unload(name, adapter);
    } catch (error) {
      // Unloaded from outside meanwhile, or with its model.
      if (!DynamoError.is(error, 'not_found')) throw error;
    }
  };
  return { [Symbol.asyncDispose]: () => (ending ??= end()) };
}
