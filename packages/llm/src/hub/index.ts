export { fetchModel } from './fetch-model.ts';
export type { FetchModelOptions, FetchProgress } from './fetch-model.ts';
export { hubPlace } from './place.ts';
export type { HubPlace } from './place.ts';
export { looksLikeModelId } from './model-id.ts';
