/** What each surface is called on a card, in the order of its bits (spec llm 1.2). */
export const surfaceFlags = {
  chat: 'Chat',
  completions: 'Completions',
  embedding: 'Embedding',
  tensor: 'TensorBased',
  images: 'Images',
  audios: 'Audios',
  videos: 'Videos',
  realtime: 'Realtime',
  classify: 'Classify',
  pooling: 'Pooling',
  rerank: 'Rerank',
} as const;

/** A route family that a card can offer. */
export type SurfaceName = keyof typeof surfaceFlags;

/** What a worker gets of a request, and what that is called on a card. */
export const inputFlags = { tokens: 'Tokens', text: 'Text', tensor: 'Tensor' } as const;

/** What a worker gets: token ids, the client's own request, or tensors. */
export type InputName = keyof typeof inputFlags;

/** Which surfaces a kind of input may offer (spec llm 1.2): one card with another pair holds a real frontend's discovery up. */
const allowed: Readonly<Record<InputName, readonly SurfaceName[]>> = {
  tokens: ['chat', 'completions', 'embedding'],
  text: ['chat', 'completions', 'embedding', 'classify', 'pooling', 'rerank', 'images', 'audios', 'videos', 'realtime'],
  tensor: ['tensor'],
};

/** `model_type` of a card: its flags in the order of their bits. */
export const modelType = (surfaces: readonly SurfaceName[]): string =>
  (Object.keys(surfaceFlags) as SurfaceName[])
    .filter((name) => surfaces.includes(name))
    .map((name) => surfaceFlags[name])
    .join(' | ');

/** The surfaces of a `model_type`; a flag of a later version is passed over. */
export function surfacesOf(type: string): readonly SurfaceName[] {
  const flags = type.split(' | ');
  return (Object.keys(surfaceFlags) as SurfaceName[]).filter((name) => flags.includes(surfaceFlags[name]));
}

/** The surfaces that can't go with an input; none where all can. */
export const refusedSurfaces = (input: InputName, surfaces: readonly SurfaceName[]): readonly SurfaceName[] =>
  surfaces.filter((name) => !allowed[input].includes(name));

/** The input of a card's `model_input`; undefined for one of a later version. */
export const inputOf = (flag: string | undefined): InputName | undefined =>
  (Object.keys(inputFlags) as InputName[]).find((name) => inputFlags[name] === flag);
