import { randomBytes } from 'node:crypto';

/** 53 random bits, so that readers which know only floats keep them exact (spec runtime-wire 1). */
export const newPublisherId = (): bigint => randomBytes(8).readBigUInt64BE() & ((1n << 53n) - 1n);
