/** A text part of a message's content. */
export interface TextPart {
  type: 'text';
  text: string;
}

/** Where a picture or film comes from. */
export interface MediaUrl {
  url: string;
  detail?: 'auto' | 'low' | 'high' | null;
}

/** A part of a message that is no text. */
export type MediaPart =
  | { type: 'image_url'; image_url?: MediaUrl | null; uuid?: string | null }
  | { type: 'video_url'; video_url?: MediaUrl | null; uuid?: string | null }
  | { type: 'audio_url'; audio_url?: { url: string } | null; uuid?: string | null }
  | { type: 'input_audio'; input_audio: { data: string; format: 'wav' | 'mp3' } };

/** A call that a model asked for in an earlier turn. */
export interface ToolCall {
  id: string;
  type?: 'function';
  /** Some clients send the arguments as an object in place of its JSON text. */
  function: { name: string; arguments: string | Readonly<Record<string, unknown>> };
}

/** A model's earlier turn. */
export interface AssistantMessage {
  role: 'assistant';
  content?: string | readonly (TextPart | { type: 'refusal'; refusal: string })[] | null;
  /** `reasoning` is taken as another name. */
  reasoning_content?: string | readonly string[] | null;
  refusal?: string | null;
  name?: string | null;
  audio?: { id: string } | null;
  tool_calls?: readonly ToolCall[] | null;
  function_call?: { name: string; arguments: string | Readonly<Record<string, unknown>> } | null;
  partial?: boolean | null;
}

/** One message of a chat, as OpenAI names its members (spec llm 3.2). */
export type ChatMessage =
  | { role: 'developer'; content: string | readonly TextPart[]; name?: string | null }
  | { role: 'system'; content?: string | readonly TextPart[] | null; name?: string | null; tools?: readonly unknown[] | null }
  | { role: 'user'; content: string | readonly (TextPart | MediaPart)[]; name?: string | null }
  | AssistantMessage
  | { role: 'tool'; content: string | readonly (TextPart | MediaPart)[]; tool_call_id: string }
  | { role: 'function'; content?: string | null; name: string };

/** A function that the model may call. */
export interface ChatTool {
  type: 'function';
  function: {
    name: string;
    description?: string | null;
    /** JSON Schema; numbers that were written as floats are `Float`. */
    parameters?: Readonly<Record<string, unknown>> | null;
    strict?: boolean | null;
  };
}

/** Whether and which function the model must call. */
export type ToolChoice = 'none' | 'auto' | 'required' | { type: 'function'; function: { name: string } };
