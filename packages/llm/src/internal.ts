export { cardFromDirectory, slugOf } from './model/card.ts';
export { cardChecksum, hashFile } from './model/checksum.ts';
export type { CardFile, WireCard } from './model/wire-card.ts';
