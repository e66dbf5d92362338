import { struct } from './validate/struct.ts';
import { list, option, text, type Type } from './validate/type.ts';

/** What the vector routes know of `nvext`; the other members that chat has are passed over there (observed in 1.6.1). */
export interface Extension {
  annotations?: readonly string[] | null;
}

/** Its type. */
export const extension: Type = struct('NvExt', { annotations: [option(list(text)), 'default'] });
