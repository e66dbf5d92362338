/** Ids that a tokenizer puts around one text, such as a beginning of text. */
export interface Surroundings {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const none: Surroundings = { before: [], after: [] };

interface Processor {
  readonly type?: string;
  readonly processors?: readonly Processor[];
  readonly single?: readonly { readonly SpecialToken?: { readonly id?: string }; readonly Sequence?: unknown }[];
  readonly special_tokens?: Readonly<Record<string, { readonly ids?: readonly number[] }>>;
  readonly cls?: readonly [string, number];
  readonly sep?: readonly [string, number];
}

/** The surroundings that `tokenizer.json` names in its post-processor; embeddings are made of whole texts (observed in 1.6.1). */
export const surroundingsOf = (tokenizerJson: unknown): Surroundings =>
  fromProcessor((tokenizerJson as { post_processor?: Processor | null } | null)?.post_processor ?? {});

function fromProcessor(processor: Processor): Surroundings {
  switch (processor.type) {
    case 'Sequence':
      return (processor.processors ?? []).map(fromProcessor).find(({ before, after }) => before.length + after.length > 0) ?? none;
    case 'TemplateProcessing':
      return fromTemplate(processor);
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { before: processor.cls === undefined ? [] : [processor.cls[1]], after: processor.sep === undefined ? [] : [processor.sep[1]] };
    default:
      return none;
  }
}

function fromTemplate({ single = [], special_tokens: special = {} }: Processor): Surroundings {
  const text = single.findIndex((piece) => piece.Sequence !== undefined);
  if (text === -1) return none;
  const ids = (pieces: typeof single): number[] => pieces.flatMap((piece) => special[piece.SpecialToken?.id ?? '']?.ids ?? []);
  return { before: ids(single.slice(0, text)), after: ids(single.slice(text + 1)) };
}
