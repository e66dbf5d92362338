import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai';
import { type ClientUnderTest, type Question, weather, weatherOf } from './client.ts';

/** The AI SDK of Vercel, with its provider for servers like this one. */
export function aiSdk(base: string): ClientUnderTest {
  const provider = createOpenAICompatible({ name: 'ours', baseURL: `${base}/v1`, apiKey: 'none', includeUsage: true });
  const settings = ({ model, content, maxTokens, more = {} }: Question) => ({
    model: provider(model),
    prompt: content,
    maxOutputTokens: maxTokens,
    maxRetries: 0,
    providerOptions: { ours: more as Record<string, never> },
  });
  return {
    async whole(question) {
      const { text, finishReason, usage } = await generateText(settings(question));
      return { text, finish: finishReason, promptTokens: usage.inputTokens, completionTokens: usage.outputTokens };
    },
    async streamed(question) {
      const result = streamText(settings(question));
      let [text, pieces] = ['', 0];
      for await (const piece of result.textStream) {
        text += piece;
        pieces++;
      }
      const usage = await result.usage;
      return { text, pieces, finish: await result.finishReason, promptTokens: usage.inputTokens, completionTokens: usage.outputTokens };
    },
    async withTool(question) {
      let called: unknown;
      const { text } = await generateText({
        ...settings(question),
        stopWhen: isStepCount(3),
        tools: {
          weather: tool({
            description: weather.description,
            inputSchema: jsonSchema<{ city: string }>(weather.parameters as never),
            execute: async (args) => {
              called = args;
              return weatherOf(args);
            },
          }),
        },
      });
      return { text, called };
    },
    async refused(question) {
      const error = await generateText(settings(question)).catch((thrown: unknown) => thrown);
      if (!APICallError.isInstance(error)) throw new Error('no APICallError', { cause: error });
      return { status: error.statusCode, message: `${error.message} ${error.responseBody}` };
    },
    async left(question, begun) {
      const leave = new AbortController();
      const reading = streamText({ ...settings(question), abortSignal: leave.signal, onError: () => undefined }).consumeStream();
      await begun();
      leave.abort();
      await reading;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}
