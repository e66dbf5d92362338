/** How many workers there should be; null leaves a role as it is. */
export interface Counts {
  readonly prefill: number | null;
  readonly decode: number | null;
}

/** Makes decisions true. One implementation an environment. */
export interface Connector extends AsyncDisposable {
  /** How many workers there should be by the last decision; null where none has been made. */
  readonly wanted: Counts;
  /** Takes a decision. It is carried out in the background; with nulls, what has fallen short is made good. */
  scale(counts: Counts): Promise<void>;
}
