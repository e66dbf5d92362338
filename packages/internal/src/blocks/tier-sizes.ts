import { DynamoError } from '@dynamo/runtime';
import type { BlockManagerOptions } from './block-manager.ts';
import { type BlockShape, layoutOf } from './layout.ts';

const gigabyte = 1e9;

/**
 * Reads the sizes of host and disk tiers from the real system's variables (spec block-manager 5): gigabytes, or a number
 * of blocks that wins over them.
 *
 * @throws DynamoError `invalid_argument` naming the variable that is no number.
 */
export function tierSizes(env: Readonly<Record<string, string | undefined>>, shape: BlockShape): Pick<BlockManagerOptions, 'host' | 'disk'> {
  const { blockStride } = layoutOf(shape, 1);
  const host = blocksOf(env, 'CPU', blockStride);
  const disk = blocksOf(env, 'DISK', blockStride);
  const unfiltered = ['true', '1'].includes((env['DYN_KVBM_DISABLE_DISK_OFFLOAD_FILTER'] ?? '').toLowerCase());
  return {
    ...(host > 0 ? { host: { blocks: host } } : {}),
    ...(disk > 0 ? { disk: { blocks: disk, filter: unfiltered ? 'none' : 'frequency' } } : {}),
  };
}

function blocksOf(env: Readonly<Record<string, string | undefined>>, tier: 'CPU' | 'DISK', blockBytes: number): number {
  const exact = numberOf(env, `DYN_KVBM_${tier}_CACHE_OVERRIDE_NUM_BLOCKS`);
  if (exact > 0) return Math.floor(exact);
  return Math.floor((numberOf(env, `DYN_KVBM_${tier}_CACHE_GB`) * gigabyte) / blockBytes);
}

function numberOf(env: Readonly<Record<string, string | undefined>>, name: string): number {
  const text = env[name]?.trim() ?? '';
  if (text === '') return 0;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0)
    throw new DynamoError('invalid_argument', `${name} must be a number, got '${text}'`, { data: { [name]: text } });
  return value;
}
