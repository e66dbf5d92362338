import { type AIMessageChunk, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { type ClientUnderTest, type Question, type Told, weather, weatherOf } from './client.ts';

/** LangChain's `ChatOpenAI` for Node. */
export function langchainNpm(base: string): ClientUnderTest {
  const chat = ({ model, maxTokens, more = {} }: Question): ChatOpenAI =>
    new ChatOpenAI({ model, maxTokens, maxRetries: 0, apiKey: 'none', configuration: { baseURL: `${base}/v1` }, modelKwargs: more });
  const told = (message: AIMessageChunk): Told => {
    // The type of the message says `never` of it.
    const usage = message.usage_metadata as { input_tokens: number; output_tokens: number } | undefined;
    const { finish_reason: finish } = message.response_metadata as { finish_reason?: string };
    return { text: message.text, finish, promptTokens: usage?.input_tokens, completionTokens: usage?.output_tokens };
  };
  return {
    whole: async (question) => told((await chat(question).invoke(question.content)) as AIMessageChunk),
    async streamed(question) {
      let sum: AIMessageChunk | undefined;
      let pieces = 0;
      for await (const chunk of await chat(question).stream(question.content)) {
        if (chunk.text !== '') pieces++;
        sum = sum === undefined ? chunk : sum.concat(chunk);
      }
      if (sum === undefined) throw new Error('the stream was empty');
      return { ...told(sum), pieces };
    },
    async withTool(question) {
      const model = chat(question).bindTools([{ type: 'function', function: weather }]);
      const asked = new HumanMessage(question.content);
      const answer = await model.invoke([asked]);
      const call = answer.tool_calls?.[0];
      if (call?.id === undefined) throw new Error(`no tool was called: ${answer.text}`);
      const result = new ToolMessage({ content: weatherOf(call.args as { city: string }), tool_call_id: call.id });
      return { called: call.args, text: (await model.invoke([asked, answer, result])).text };
    },
    async refused(question) {
      const error = await chat(question)
        .invoke(question.content)
        .then(
          () => undefined,
          (thrown: unknown) => thrown as Error & { status?: number; error?: unknown },
        );
      if (error === undefined) throw new Error('it was answered');
      return { status: error.status, message: `${error.message} ${JSON.stringify(error.error)}` };
    },
    async left(question, begun) {
      const leave = new AbortController();
      const read = async (): Promise<never> => {
        for await (const _ of await chat(question).stream(question.content, { signal: leave.signal }));
        throw new Error('the stream ended as if nobody had left');
      };
      const reading = read().catch((thrown: Error) => thrown);
      await begun();
      leave.abort();
      const { message } = await reading;
      if (!/abort/i.test(message)) throw new Error(message);
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}
