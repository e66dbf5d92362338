import type { RoutePolicy } from '../types.ts';
import { direct } from './direct.ts';
import { random } from './random.ts';
import { roundRobin } from './round-robin.ts';

/** Every policy that `ClientOptions.policy` knows by name: a new one is one file and one line here. */
export const policies: Readonly<Record<PolicyName, () => RoutePolicy>> = { 'round-robin': roundRobin, random, direct };

/** Names of the built-in route policies. */
export type PolicyName = 'round-robin' | 'random' | 'direct';
