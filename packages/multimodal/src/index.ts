/**
 * Media in requests, and bytes between workers.
 *
 * @packageDocumentation
 */
export { Multimodal } from './multimodal.ts';
export type { MultimodalOptions, Shared } from './multimodal.ts';
