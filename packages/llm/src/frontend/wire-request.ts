/** A request that is sent as it is: what the workers of vector routes and of text-input models get. */
export class WireRequest {
  readonly wire: unknown;

  constructor(wire: unknown) {
    this.wire = wire;
  }
}
