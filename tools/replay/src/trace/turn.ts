/** One request of a workload. */
export interface Turn {
  /** Tokens of the prompt. */
  readonly input: number;
  readonly output: number;
  /** What its trace blocks hold, one id a block: equal ids mean equal tokens. */
  readonly ids: readonly (number | bigint)[];
  /** When it arrives, in milliseconds from the start; undefined for later turns, and where a workload does not say. */
  readonly arrivalMs: number | undefined;
  readonly session: string | undefined;
  readonly turn: number;
  /** What the same session asks next, once this has ended. */
  readonly next: Turn | undefined;
  /** Pause between the end of the turn before and this one, in milliseconds. */
  readonly delayMs: number;
  readonly priority: number | undefined;
  readonly strictPriority: number | undefined;
  readonly policyClass: string | undefined;
}

/** Requests in order of their arrival, a few at a time: memory does not grow with their number. */
export interface Workload {
  /** Trace tokens that one id stands for. */
  readonly blockSize: number;
  /** How many turns there are, where that is known. */
  readonly total: number | undefined;
  /** First turns, in order of arrival; an empty list is the end. */
  read(): Promise<readonly Turn[]>;
}
