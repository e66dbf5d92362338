export { RankTable } from './ranks.ts';
export type { Ranks } from './ranks.ts';
export { decodeEngineOutput, encodeEngineOutput } from './wire/engine-output.ts';
export { decodeTokenRequest, encodeTokenRequest } from './wire/preprocessed-request.ts';
export { decodedChunk, readTokenFrame, toTokenChunk } from './wire/token-frame.ts';
