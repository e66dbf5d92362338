import type { IncomingHttpHeaders } from 'node:http';

/** Headers by which agents name their sessions, by the header that must be there for the others to count (observed in 1.6.1). */
const families = {
  'x-claude-code-session-id': ['x-claude-code-agent-id', 'x-claude-code-parent-agent-id', 'x-claude-code-session-id'],
  'thread-id': ['session-id', 'thread-id', 'x-codex-parent-thread-id', 'x-codex-turn-metadata', 'x-openai-subagent'],
  'x-session-id': ['x-parent-session-id', 'x-session-id'],
} as const;

const yes: ReadonlySet<string> = new Set(['true', '1', 'yes', 'on']);
const no: ReadonlySet<string> = new Set(['false', '0', 'no', 'off']);

/** What made the agent ask, as far as the last message tells. */
export type InputTrigger = 'user_message' | 'tool_result' | 'other';

/** What an engine is told of the session that a request belongs to, under wire names. */
export interface AgentContext {
  readonly agent_context: Readonly<Record<string, unknown>>;
  readonly image_cache_scope: string;
}

/** The session that the headers name, the clearest name first; undefined without one (spec llm 2.1; ranks observed in 1.6.1). */
export function agentContext(headers: IncomingHttpHeaders, trigger: InputTrigger): AgentContext | undefined {
  const text = (name: string): string | undefined => {
    const value = headers[name];
    return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
  };
  const session = sessionOf(text);
  if (session === undefined) return undefined;
  const known = agentHeaders(text);
  const final = text('x-dynamo-session-final')?.toLowerCase() ?? '';
  return {
    agent_context: {
      session_id: session.id,
      ...(yes.has(final) || no.has(final) ? { session_final: yes.has(final) } : {}),
      ...(session.parent === undefined || session.parent === session.id ? {} : { parent_session_id: session.parent }),
      ...(known === undefined ? {} : { agent_headers: known }),
      input_trigger: trigger,
    },
    image_cache_scope: session.id,
  };
}

type HeaderText = (name: string) => string | undefined;

function sessionOf(text: HeaderText): { id: string; parent: string | undefined } | undefined {
  const own = text('x-dynamo-session-id');
  if (own !== undefined) return { id: own, parent: text('x-dynamo-parent-session-id') };
  const code = text('x-claude-code-session-id');
  const agent = text('x-claude-code-agent-id');
  if (code !== undefined && agent !== undefined) return { id: agent, parent: text('x-claude-code-parent-agent-id') ?? code };
  if (code !== undefined) return { id: code, parent: undefined };
  const thread = text('thread-id');
  if (thread !== undefined) return { id: thread, parent: text('x-codex-parent-thread-id') };
  const plain = text('x-session-id');
  return plain === undefined ? undefined : { id: plain, parent: text('x-parent-session-id') };
}

function agentHeaders(text: HeaderText): Record<string, readonly string[]> | undefined {
  const found: Record<string, readonly string[]> = {};
  for (const [telling, names] of Object.entries(families)) {
    if (text(telling) === undefined) continue;
    for (const name of names) {
      const value = text(name);
      if (value !== undefined) found[name] = [value];
    }
  }
  return Object.keys(found).length === 0 ? undefined : found;
}
