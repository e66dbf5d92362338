import type { HttpSettings, RoutePaths } from './settings.ts';

interface Described {
  readonly route: keyof RoutePaths;
  readonly method: 'get' | 'post';
  /** Behind the route's path. */
  readonly suffix?: string;
  readonly summary: string;
  readonly description: string;
  /** An example of a body, where there is one. */
  readonly example?: unknown;
}

const user = { role: 'user', content: 'Hello!' };

/** Every route that is described, by path. */
const routes: readonly Described[] = [
  { route: 'busyThreshold', method: 'get', summary: 'Read busy thresholds', description: 'When the workers of each model count as overloaded.' },
  {
    route: 'busyThreshold',
    method: 'post',
    summary: 'Set busy thresholds',
    description: 'Changes the thresholds of one model; members that are absent or null keep their value.',
    example: { model: 'a-model', active_decode_blocks_threshold: 0.9 },
  },
  { route: 'health', method: 'get', summary: 'Readiness', description: 'The endpoints and instances that this frontend knows.' },
  { route: 'live', method: 'get', summary: 'Liveness', description: 'Answers as long as the process does.' },
  { route: 'metrics', method: 'get', summary: 'Metrics', description: 'Prometheus text format 0.0.4.' },
  {
    route: 'chat',
    method: 'post',
    summary: 'Chat',
    description: 'The next message of a conversation, whole or as an event stream.',
    example: { model: 'a-model', messages: [user], max_tokens: 64, stream: false },
  },
  {
    route: 'classify',
    method: 'post',
    summary: 'Classify texts',
    description: 'A label and its probabilities for each input.',
    example: { model: 'a-model', input: ['good', 'bad'] },
  },
  {
    route: 'completions',
    method: 'post',
    summary: 'Continue a text',
    description: 'What follows one or several prompts of text or token ids, whole or as an event stream.',
    example: { model: 'a-model', prompt: 'Once upon a time', max_tokens: 64, stream: false },
  },
  {
    route: 'embeddings',
    method: 'post',
    summary: 'Embed texts',
    description: 'A vector for each input of text or token ids.',
    example: { model: 'a-model', input: ['a text'], encoding_format: 'float' },
  },
  {
    route: 'realtime',
    method: 'get',
    summary: 'Talk over a websocket',
    description: 'A session in text frames, whose worker takes a stream and answers with one.',
  },
  {
    route: 'responses',
    method: 'post',
    summary: 'Answer by the Responses API',
    description: 'What a model answers to a text or to items, whole or as an event stream.',
    example: { model: 'a-model', input: 'Hello!' },
  },
  {
    route: 'responses',
    suffix: '/input_tokens',
    method: 'post',
    summary: 'Guess a length',
    description: 'About how many tokens a request has.',
    example: { model: 'a-model', input: 'Hello!' },
  },
  {
    route: 'messages',
    method: 'post',
    summary: "Answer by Anthropic's Messages API",
    description: 'What a model answers to messages, whole or as an event stream.',
    example: { model: 'a-model', max_tokens: 100, messages: [{ role: 'user', content: 'Hello!' }] },
  },
  {
    route: 'messages',
    suffix: '/count_tokens',
    method: 'post',
    summary: 'Guess a length',
    description: 'About how many tokens a request has.',
    example: { model: 'a-model', messages: [{ role: 'user', content: 'Hello!' }] },
  },
  { route: 'models', method: 'get', summary: 'List models', description: 'The models that can be asked for now, aliases among them.' },
  { route: 'models', suffix: '/{*model_id}', method: 'get', summary: 'Show a model', description: 'One model; its name may hold slashes.' },
  {
    route: 'models',
    suffix: '/{model_id}/ready',
    method: 'get',
    summary: 'Readiness of a model',
    description: 'Whether the workers that the model needs are there, by namespace.',
  },
  {
    route: 'pooling',
    method: 'post',
    summary: 'Pool texts',
    description: "The pooled vectors of a model's last layer for each input.",
    example: { model: 'a-model', input: ['a text'] },
  },
  {
    route: 'rerank',
    method: 'post',
    summary: 'Order documents',
    description: 'How well each document answers a query.',
    example: { model: 'a-model', query: 'a question', documents: ['one', 'another'], top_n: 1 },
  },
];

/** What each route can answer with, as the real frontend lists it. */
const responses = {
  200: { description: 'The answer' },
  400: { description: 'The request is not valid' },
  404: { description: 'Nobody has the model' },
  503: { description: 'The workers cannot be reached' },
  529: { description: 'All workers are busy' },
};

/** The description of the routes that are on, in OpenAPI 3.1. */
export function openApiDocument({ paths, admin, messages }: HttpSettings): unknown {
  const described: Record<string, Record<string, unknown>> = {};
  for (const { route, method, suffix = '', summary, description, example } of routes) {
    if ((route === 'busyThreshold' && !admin) || (route === 'messages' && !messages.enabled)) continue;
    const path = paths[route] + suffix;
    (described[path] ??= {})[method] = {
      summary,
      description,
      operationId: `${method}${path.replaceAll('/', '_')}`,
      ...(method === 'post' ? { requestBody: bodyOf(example) } : {}),
      responses,
    };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Dynamo HTTP API', description: 'Chat, completions and vectors of every model that this frontend serves.', version: '1.6.1' },
    servers: [{ url: '/', description: 'This server' }],
    paths: Object.fromEntries(Object.entries(described).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

const bodyOf = (example: unknown): unknown => ({ required: true, content: { 'application/json': { schema: { type: 'object' }, example } } });
