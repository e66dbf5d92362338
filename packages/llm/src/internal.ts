export { cardFromDirectory, slugOf } from './model/card.ts';
export { cardChecksum, hashFile } from './model/checksum.ts';
export type { CardFile, WireCard } from './model/wire-card.ts';
export { ModelDeploymentCard } from './model/deployment-card.ts';
export type { PublishedCard } from './model/deployment-card.ts';
export { ModelRuntimeConfig } from './model/runtime-config.ts';
export type { ModelRuntimeConfigOptions } from './model/runtime-config.ts';
