import type { BudgetReason } from './budget/guard.ts';

/** Why a decision is what it is. */
export type Reason =
  | BudgetReason
  | 'scale_up'
  | 'scale_down'
  | 'no_change'
  | 'scaling_in_progress'
  | 'no_fpm_data'
  | 'worker_count_mismatch'
  | 'insufficient_data'
  | 'no_traffic'
  | 'model_not_ready';

/** How many workers there should be; null leaves a role as it is. */
export interface Decision {
  readonly prefill: number | null;
  readonly decode: number | null;
  readonly reason: Reason;
  /** Where both roles were judged. */
  readonly reasons?: { readonly prefill: Reason; readonly decode: Reason };
}
