/** A chat as the program asks for it: the members of OpenAI's API under their own names, and those that 1.6.1 takes beside them (spec llm 2.1). */
export interface ChatRequest {
  model: string;
  /** What has been said; `content` is a text or a list of parts. */
  messages: readonly object[];
  max_completion_tokens?: number | null;
  max_tokens?: number | null;
  n?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  seed?: number | bigint | null;
  stop?: string | readonly string[] | readonly number[] | null;
  logprobs?: boolean | null;
  top_logprobs?: number | null;
  tools?: readonly object[] | null;
  tool_choice?: string | object | null;
  response_format?: object | null;
  stream_options?: object | null;
  /** Hints for routing, annotations and extra fields of the answer. */
  nvext?: object | null;
  /** Every other member that a request over HTTP may have; what that refuses is refused here. */
  [member: string]: unknown;
}

/** One event of a chat's answer. */
export interface ChatChunk {
  id: string;
  object: string;
  created: number;
  model: string;
  choices: readonly {
    index: number;
    delta: {
      role?: string;
      content?: string | null;
      reasoning_content?: string;
      tool_calls?: readonly { index: number; id?: string; type?: string; function: { name?: string; arguments?: string } }[];
    };
    finish_reason: string | null;
    logprobs?: object | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number; prompt_tokens_details?: object | null } | null;
  nvext?: object;
}

/** A completion as the program asks for it, like `ChatRequest`. */
export interface CompletionRequest {
  model: string;
  /** Text or token ids, one or several. */
  prompt: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  max_tokens?: number | null;
  n?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  seed?: number | bigint | null;
  stop?: string | readonly string[] | readonly number[] | null;
  logprobs?: number | null;
  echo?: boolean | null;
  stream_options?: object | null;
  nvext?: object | null;
  [member: string]: unknown;
}

/** One event of a completion. */
export interface CompletionChunk {
  id: string;
  object: string;
  created: number;
  model: string;
  choices: readonly { index: number; text: string; finish_reason?: string | null; logprobs?: object | null }[];
  usage?: ChatChunk['usage'];
  nvext?: object;
}

/** Texts or token ids to make vectors of. */
export interface EmbeddingRequest {
  model: string;
  input: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  encoding_format?: 'float' | 'base64' | null;
  dimensions?: number | null;
  [member: string]: unknown;
}

/** The vectors, in the order of their texts. */
export interface EmbeddingResponse {
  object: string;
  model: string;
  /** `embedding` is base64 of little-endian float32 where that was asked for. */
  data: readonly { index: number; object: string; embedding: number[] | string }[];
  usage: { prompt_tokens: number; total_tokens: number };
}

/** A request over HTTP that needs no socket. */
export interface InjectRequest {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'OPTIONS';
  /** Path and query. */
  path: string;
  headers?: Readonly<Record<string, string>>;
  /** A text or bytes as they are; an object as JSON, with its content type. */
  body?: string | Uint8Array | object;
}

/** What the same request over a socket would have been answered. */
export interface InjectResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The whole body: of an event stream, all its events. */
  readonly body: string;
}
