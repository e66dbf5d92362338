/** A response that is kept, so that a later request can go on from it. */
export interface KeptResponse {
  readonly id: string;
  /** Whose it is: nobody else is told of it. */
  readonly owner: string;
  /** The response that it went on from. */
  readonly previous: string | undefined;
  /** JSON of the items that the request brought, without those of the responses before. */
  readonly input: string;
  /** JSON of the output's items. */
  readonly output: string;
  /** JSON of the response as its client got it. */
  readonly body: string;
}

/** Keeps responses. A store forgets the ones that nobody has asked for longest, once it holds more bytes than it may. */
export interface ResponseStore extends AsyncDisposable {
  /** Keeps a response; from then on this process finds it. */
  put(response: KeptResponse): void;
  get(id: string): Promise<KeptResponse | undefined>;
  /** Whether there was one. */
  delete(id: string): Promise<boolean>;
}

/** What a kept response costs: its texts in bytes, with something for what holds them. */
export const sizeOf = ({ input, output, body }: KeptResponse): number =>
  Buffer.byteLength(input) + Buffer.byteLength(output) + Buffer.byteLength(body) + 200;
