/** Names of the engines, apart from their code, so that help loads none of it. */
export const engineNames = ['echo', 'llama', 'openai'] as const;

/** Those that bring a function which answers: they can run beside whoever asks. */
export const localEngineNames: readonly ['echo', 'llama'] = ['echo', 'llama'];

/** Name of an engine. */
export type EngineName = (typeof engineNames)[number];

/** The engine that was asked for, or the one that runs such a model. */
export const engineFor = <Name extends EngineName>(asked: Name | undefined, modelPath: string | undefined): Name | 'echo' | 'llama' =>
  asked ?? (modelPath?.toLowerCase().endsWith('.gguf') === true ? 'llama' : 'echo');
