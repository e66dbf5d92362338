/** A JSON object in which a name may come twice: what the strict reader makes of such an object. */
export class Members {
  readonly entries: readonly (readonly [string, unknown])[];
  constructor(entries: readonly (readonly [string, unknown])[]) {
    this.entries = entries;
  }
}
