"""Interop peer: a client library of PyPI that is asked in JSON lines.

`py_clients.py LIBRARY BASE_URL`; each line of its input is a question, each line of its output what the library made of the answer.
"""
import json
import sys

WEATHER = {
    "name": "weather",
    "description": "Tells the weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOLS = [{"type": "function", "function": WEATHER}]


def weather_of(city):
    return f"rain in {city}"


class Completions:
    """What openai and LiteLLM share: the shape of requests and answers."""

    def body(self, q):
        return {
            "model": q["model"],
            "messages": [{"role": "user", "content": q["content"]}],
            "max_tokens": q["maxTokens"],
            "extra_body": q.get("more", {}),
        }

    def whole(self, q):
        answer = self.create(**self.body(q))
        choice, usage = answer.choices[0], answer.usage
        return told(choice.message.content, choice.finish_reason, usage.prompt_tokens, usage.completion_tokens)

    def streamed(self, q):
        text, pieces, finish, usage = "", 0, None, None
        for chunk in self.create(**self.body(q), stream=True, stream_options={"include_usage": True}):
            usage = getattr(chunk, "usage", None) or usage
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                if choice.delta.content:
                    text += choice.delta.content
                    pieces += 1
        return {**told(text, finish, usage.prompt_tokens, usage.completion_tokens), "pieces": pieces}

    def with_tool(self, q):
        body = self.body(q)
        first = self.create(**body, tools=TOOLS).choices[0].message
        call = first.tool_calls[0]
        args = json.loads(call.function.arguments)
        result = {"role": "tool", "tool_call_id": call.id, "content": weather_of(**args)}
        body["messages"] += [first.model_dump(exclude_none=True), result]
        return {"called": args, "text": self.create(**body, tools=TOOLS).choices[0].message.content}

    def refused(self, q):
        try:
            self.create(**self.body(q))
        except self.Failure as error:
            return {"status": error.status_code, "message": f"{error.message} {getattr(error, 'body', '')}"}
        raise AssertionError("it was answered")

    def left(self, q):
        stream = self.create(**self.body(q), stream=True)
        next(iter(stream))
        self.close(stream)


class OpenAi(Completions):
    def __init__(self, base):
        import openai

        self.client = openai.OpenAI(base_url=base, api_key="none", max_retries=0)
        self.create = self.client.chat.completions.create
        self.Failure = openai.APIStatusError

    def close(self, stream):
        stream.close()


class LiteLlm(Completions):
    def __init__(self, base):
        import litellm
        import openai

        def create(model, **more):
            return litellm.completion(model=f"openai/{model}", api_base=base, api_key="none", max_retries=0, **more)

        self.create = create
        self.Failure = openai.APIError

    def close(self, stream):
        # LiteLLM wraps the stream of the openai package.
        stream.completion_stream.close()


class LangChain:
    def __init__(self, base):
        self.base = base

    def chat(self, q):
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(
            model=q["model"],
            base_url=self.base,
            api_key="none",
            max_retries=0,
            max_tokens=q["maxTokens"],
            extra_body=q.get("more", {}),
            stream_usage=True,
        )

    def whole(self, q):
        return self.told(self.chat(q).invoke(q["content"]))

    def streamed(self, q):
        total, pieces = None, 0
        for chunk in self.chat(q).stream(q["content"]):
            pieces += 1 if chunk.content else 0
            total = chunk if total is None else total + chunk
        return {**self.told(total), "pieces": pieces}

    def told(self, message):
        usage = message.usage_metadata
        return told(message.content, message.response_metadata["finish_reason"], usage["input_tokens"], usage["output_tokens"])

    def with_tool(self, q):
        from langchain_core.messages import HumanMessage, ToolMessage

        model = self.chat(q).bind_tools(TOOLS)
        asked = HumanMessage(q["content"])
        answer = model.invoke([asked])
        call = answer.tool_calls[0]
        result = ToolMessage(content=weather_of(**call["args"]), tool_call_id=call["id"])
        return {"called": call["args"], "text": model.invoke([asked, answer, result]).content}

    def refused(self, q):
        import openai

        try:
            self.chat(q).invoke(q["content"])
        except openai.APIStatusError as error:
            return {"status": error.status_code, "message": f"{error.message} {error.body}"}
        raise AssertionError("it was answered")

    def left(self, q):
        stream = self.chat(q).stream(q["content"])
        next(stream)
        stream.close()


def told(text, finish, prompt, completion):
    return {"text": text, "finish": finish, "promptTokens": prompt, "completionTokens": completion}


def main(library, base):
    client = {"openai": OpenAi, "litellm": LiteLlm, "langchain": LangChain}[library](base)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"told": getattr(client, question["what"])(question)}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main(*sys.argv[1:])
