/** One forward pass as models of its length see it, in tokens and requests. */
export interface PassLoad {
  readonly prefillTokens: number;
  readonly decodeRequests: number;
  readonly decodeKvTokens: number;
}

/** Tells how long a forward pass takes, in seconds. */
export interface PassModel {
  seconds(pass: PassLoad): number;
}

/** A model that is a sum of parts; times in seconds. */
export const linearModel = (parts: {
  readonly constant: number;
  readonly perPrefillToken: number;
  readonly perDecodeRequest: number;
  readonly perDecodeKvToken: number;
}): PassModel => ({
  seconds: ({ prefillTokens, decodeRequests, decodeKvTokens }) =>
    parts.constant + parts.perPrefillToken * prefillTokens + parts.perDecodeRequest * decodeRequests + parts.perDecodeKvToken * decodeKvTokens,
});
