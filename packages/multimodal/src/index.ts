/**
 * Media in requests, and bytes between workers.
 *
 * @packageDocumentation
 */
export { Multimodal } from './multimodal.ts';
export type { MultimodalOptions, Shared } from './multimodal.ts';
export type { Media, MediaPart } from './media.ts';
export type { DecodeOptions } from './decode/rules.ts';
export type { FetchOptions } from './fetch/rules.ts';
