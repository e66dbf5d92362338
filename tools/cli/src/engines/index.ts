import type { Engine } from '@dynamo/llm';
import type { EngineName } from './names.ts';
import { echo } from './echo.ts';

export type { EngineName } from './names.ts';

/** What an engine is made from. */
export interface EngineOptions {
  /** Model folder. */
  readonly modelPath: string;
  /** File with a chat template that stands in for the model's own. */
  readonly chatTemplate?: string | undefined;
  /** Pause before each token, in milliseconds. */
  readonly delayMs: number;
}

/** Makes an engine; whatever it loads is loaded when this resolves. */
export type EngineFactory = (options: EngineOptions) => Promise<Engine>;

/** Every engine by name: a new one is one file, one name and one line here. Servers that bring their own model (`openai`) are upstreams.ts's. */
export const engines: Readonly<Record<Exclude<EngineName, 'openai'>, EngineFactory>> = { echo };
