import { expect, test } from 'vitest';
import { inOrder, modelOf, outcomeOf, pythonJson, readExact, wireOf, wireText } from './testing/cases.ts';

interface Case {
  name: string;
  model?: string;
  request: { method: string; path: string; headers?: Record<string, string>; body?: { model?: string }; raw?: string };
  status: number;
  body_json?: { message: string };
  worker_received?: { request?: Record<string, unknown> & { token_ids: number[] } }[];
}

const routes: Readonly<Record<string, 'chat' | 'comp'>> = { '/v1/chat/completions': 'chat', '/v1/completions': 'comp' };
const all = (readExact(new URL('../../../../vectors/llm/http/http.json', import.meta.url)) as Case[]).filter(
  ({ request }) => request.method === 'POST' && routes[request.path] !== undefined,
);
const kindOf = ({ request }: Case): 'chat' | 'comp' => routes[request.path] ?? 'chat';
const bodyOf = ({ request }: Case): string => request.raw ?? pythonJson(request.body);

/** Failures that are not the body's: where they are decided instead. */
const elsewhere: Readonly<Record<string, string>> = {
  no_content_type: 'the route looks at Content-Type',
  missing_content_type: 'the route looks at Content-Type',
  image_url_http: 'media are fetched by a later stage',
  nvext_backend_instance_id_missing: 'the router knows the instances',
  hdr_routing: 'the router knows the instances',
  routing_pin: 'the router knows the ranks',
};
const failing = all.filter(({ status }) => status !== 200);
const refused = failing.filter(({ name, status, worker_received: received }) => {
  return elsewhere[name] === undefined && status !== 404 && (received ?? []).length === 0;
});

test('every failing case is checked here, comes from the worker or the model lookup, or says where it belongs', () => {
  const others = failing.filter((one) => !refused.includes(one) && one.status !== 404 && (one.worker_received ?? []).length === 0);
  expect(others.map(({ name }) => name).toSorted()).toEqual(Object.keys(elsewhere).toSorted());
});

test.each(refused.map((one) => [one.name, one] as const))('%s is refused with the same words', (_name, one) => {
  const outcome = outcomeOf(kindOf(one), bodyOf(one));
  expect('request' in outcome ? outcome : { ...outcome, message: inOrder(outcome.message) }).toEqual({
    status: one.status,
    message: inOrder(one.body_json?.message ?? ''),
  });
});

/** Members that come from elsewhere than the body, and cases whose body has parts that a later stage handles. */
const later: Readonly<Record<string, string>> = {
  image_url_data: 'media parts',
  video_audio_url: 'media parts',
  image_uuid: 'media parts',
  hdr_session: 'the session headers add agent_context and image_cache_scope',
};
const answered = all.filter(({ name, model, status, worker_received: received }) => {
  return (
    status === 200 &&
    (model === 'tok' || model === 'both') &&
    later[name] === undefined &&
    (received ?? []).some(({ request }) => request !== undefined)
  );
});

test.each(answered.map((one) => [one.name, one] as const))('%s reaches the worker as captured', (_name, one) => {
  const outcome = outcomeOf(kindOf(one), bodyOf(one));
  if (!('request' in outcome)) throw new Error(outcome.message);
  for (const { request: received } of one.worker_received ?? []) {
    if (received === undefined) continue;
    const wire = wireOf(outcome.request, received.token_ids);
    // Times are zeroed in the captures.
    if (wire['request_timestamp_ms'] !== undefined) wire['request_timestamp_ms'] = received['request_timestamp_ms'];
    expect(wireText(wire)).toBe(wireText(received));
    expect(Object.keys(wire)).toEqual(Object.keys(received));
  }
});

test('the captures cover what this test is for', () => {
  expect([refused.length, answered.length]).toEqual([expect.any(Number), expect.any(Number)]);
  expect(refused.length).toBeGreaterThan(70);
  expect(answered.length).toBeGreaterThan(150);
  expect(modelOf('tok-alias').name).toBe('tok');
});
