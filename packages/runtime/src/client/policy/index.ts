import type { RoutePolicy } from '../types.ts';
import { deviceAwareWeighted } from './device-aware-weighted.ts';
import { direct } from './direct.ts';
import { leastLoaded } from './least-loaded.ts';
import { powerOfTwo } from './power-of-two.ts';
import { random } from './random.ts';
import { roundRobin } from './round-robin.ts';

/** What the environment says about routing. */
export interface PolicySettings {
  /** How many times the work of a CPU instance any other one does: `DYN_ENCODER_CUDA_TO_CPU_RATIO`, default 8. */
  readonly deviceRatio: number;
}

/** Every policy that `ClientOptions.policy` knows by name: a new one is one file and one line here. */
export const policies: Readonly<Record<PolicyName, (settings: PolicySettings) => RoutePolicy>> = {
  'round-robin': () => roundRobin(),
  random: () => random(),
  'power-of-two': () => powerOfTwo(),
  'least-loaded': () => leastLoaded(),
  'device-aware-weighted': ({ deviceRatio }) => deviceAwareWeighted(deviceRatio),
  direct: () => direct(),
};

/** Ratio of spec kv-router 13. */
export const defaultDeviceRatio = 8;

/** Names of the built-in route policies. */
export type PolicyName = 'round-robin' | 'random' | 'power-of-two' | 'least-loaded' | 'device-aware-weighted' | 'direct';
