import type { PolicyProfile } from '../queue/policy-classes.ts';
import { defaultCostSettings, type PolicyConfig } from '../wire/policy-config.ts';
import { partialSettings } from '../wire/read-settings.ts';
import type { RouterSettings } from '../wire/router-settings.ts';

/** What a policy file says to the router of one model's workers. */
export interface AppliedPolicy {
  /** Settings that win over flags. */
  readonly settings: Partial<RouterSettings>;
  readonly profile?: PolicyProfile;
}

/**
 * The part of a policy file that concerns one router: its own section, the model's classes, and the parameters of the
 * instance that ranks workers of its role.
 *
 * @throws DynamoError `invalid_argument` for a setting out of range or a way to rank workers that there is not.
 */
export function applyPolicy(config: PolicyConfig, router: { model: string; role: 'aggregated' | 'prefill' | 'decode' }): AppliedPolicy {
  const profile = config.models.get(router.model) ?? config.root;
  const named = config.selection[router.role];
  const instance = config.selectors.find(({ name }) => name === named);
  return {
    settings: { ...partialSettings(config.router ?? {}), ...(instance === undefined ? {} : defaultCostSettings(instance)) },
    ...(profile === undefined ? {} : { profile }),
  };
}
