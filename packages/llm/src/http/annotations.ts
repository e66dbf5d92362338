import { bypassAnnotation } from '@dynamo/kv-router/internal';
import type { Placed } from '../frontend/serving-model.ts';

/** What an annotation may show. */
export interface AnnotationSources {
  readonly id: string;
  readonly prompt?: string | undefined;
  /** Absent where the worker makes the tokens. */
  readonly tokenIds?: readonly number[];
}

/** The events that come before the first chunk when `nvext.annotations` asks for them; their values stand in comment lines (spec llm 0.7). */
export function annotationEvents(names: readonly string[] | undefined, sources: AnnotationSources): string {
  if (names === undefined || names.length === 0) return '';
  const known: Readonly<Record<string, string | undefined>> = {
    request_id: sources.id,
    formatted_prompt: sources.prompt,
    token_ids: sources.tokenIds === undefined ? undefined : JSON.stringify(sources.tokenIds),
  };
  return Object.entries(known)
    .filter(([name, value]) => names.includes(name) && value !== undefined)
    .map(([name, value]) => `event: ${name}\n: ${JSON.stringify(value)}\n\n`)
    .join('');
}

/** Says that a prompt stayed with its decode worker, unasked, before everything else (spec kv-router 18.5). */
export const bypassEvent = ({ bypassed }: Placed): string => (bypassed === true ? `event: ${bypassAnnotation}\n: true\n\n` : '');
