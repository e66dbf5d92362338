/** What a client made of an answer. */
export interface Told {
  readonly text: string;
  readonly finish: string | null | undefined;
  readonly promptTokens: number | undefined;
  readonly completionTokens: number | undefined;
}

/** What a client made of a refusal. */
export interface Refused {
  readonly status: number | undefined;
  /** All that it tells its user: message and, where it keeps one, body. */
  readonly message: string;
}

/** What is asked of a client: a question, and members that the client's own types do not know. */
export interface Question {
  readonly model: string;
  readonly content: string;
  readonly maxTokens: number;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A client library under test: the five things that its users do with it, each by the library's own means. */
export interface ClientUnderTest extends AsyncDisposable {
  whole(question: Question): Promise<Told>;
  /** Also tells in how many pieces the text came. */
  streamed(question: Question): Promise<Told & { pieces: number }>;
  /** Offers a tool `weather(city)`, runs it when it is called, and gives its result back to the model. */
  withTool(question: Question): Promise<{ called: unknown; text: string }>;
  refused(question: Question): Promise<Refused>;
  /** Leaves a stream in its midst: after the first piece, or, where a library tells of none without text, when the worker has begun. */
  left(question: Question, begun: () => Promise<void>): Promise<void>;
}

/** The tool that clients offer. */
export const weather = {
  name: 'weather',
  description: 'Tells the weather of a city',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
} as const;

/** What the tool answers. */
export const weatherOf = ({ city }: { city: string }): string => `rain in ${city}`;
