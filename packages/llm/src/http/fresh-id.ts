import { randomUUID } from 'node:crypto';

/** An id of one kind, as the Responses and Messages APIs have them: its prefix and 32 hexadecimal digits (spec llm 3.4). */
export const freshId = (prefix: 'resp' | 'msg' | 'fc' | 'rs' | 'toolu'): string => `${prefix}_${randomUUID().replaceAll('-', '')}`;
