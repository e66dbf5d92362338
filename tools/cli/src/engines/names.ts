/** Names of the engines, apart from their code, so that help loads none of it. */
export const engineNames = ['echo', 'openai'] as const;

/** Name of an engine. */
export type EngineName = (typeof engineNames)[number];
