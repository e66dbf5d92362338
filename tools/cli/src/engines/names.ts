/** Names of the engines, apart from their code, so that help loads none of it. */
export const engineNames = ['echo', 'openai'] as const;

/** Those that bring a function which answers: they can run beside whoever asks. */
export const localEngineNames = ['echo'] as const satisfies readonly EngineName[];

/** Name of an engine. */
export type EngineName = (typeof engineNames)[number];
