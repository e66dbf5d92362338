export { factsOf } from './facts.ts';
export type { GgufFacts } from './facts.ts';
export { ggufFolder } from './model-folder.ts';
export { isGgufPath } from './path.ts';
export { readGguf } from './read-gguf.ts';
export type { GgufFile } from './read-gguf.ts';
