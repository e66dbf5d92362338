import { OpenAI } from 'openai';
import { type ClientUnderTest, type Question, weather, weatherOf } from './client.ts';

/** The `openai` package of npm. */
export function openaiNpm(base: string): ClientUnderTest {
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none', maxRetries: 0 });
  const body = ({ model, content, maxTokens, more }: Question): OpenAI.ChatCompletionCreateParamsNonStreaming => ({
    model,
    messages: [{ role: 'user', content }],
    max_tokens: maxTokens,
    ...more,
  });
  return {
    async whole(question) {
      const { choices, usage } = await client.chat.completions.create(body(question));
      return {
        text: choices[0]?.message.content ?? '',
        finish: choices[0]?.finish_reason,
        promptTokens: usage?.prompt_tokens,
        completionTokens: usage?.completion_tokens,
      };
    },
    async streamed(question) {
      let [text, pieces] = ['', 0];
      let finish: string | null | undefined;
      let usage: OpenAI.CompletionUsage | null | undefined;
      for await (const chunk of await client.chat.completions.create({ ...body(question), stream: true, stream_options: { include_usage: true } })) {
        const piece = chunk.choices[0]?.delta.content ?? '';
        if (piece !== '') pieces++;
        text += piece;
        finish = chunk.choices[0]?.finish_reason ?? finish;
        usage = chunk.usage ?? usage;
      }
      return { text, pieces, finish, promptTokens: usage?.prompt_tokens, completionTokens: usage?.completion_tokens };
    },
    async withTool(question) {
      let called: unknown;
      const runner = client.chat.completions.runTools({
        ...body(question),
        tools: [
          {
            type: 'function',
            function: {
              ...weather,
              parse: JSON.parse,
              function: (args: { city: string }) => {
                called = args;
                return weatherOf(args);
              },
            },
          },
        ],
      } as never) as unknown as { finalContent(): Promise<string | null> };
      return { text: (await runner.finalContent()) ?? '', called };
    },
    async refused(question) {
      const error = await client.chat.completions.create(body(question)).catch((thrown: unknown) => thrown);
      if (!(error instanceof OpenAI.APIError)) throw new Error('no APIError', { cause: error });
      return { status: error.status as number, message: `${error.message} ${JSON.stringify(error.error)}` };
    },
    async left(question) {
      for await (const _ of await client.chat.completions.create({ ...body(question), stream: true })) break;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}
