export type { ListedModel, ModelDirectory, ModelLookup, ServingModel, Surface } from './frontend/serving-model.ts';
