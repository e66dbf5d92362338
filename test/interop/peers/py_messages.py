"""Asks /v1/messages as people do, with the anthropic package: py_messages.py BASE_URL MODEL

Prints one JSON object of what came of it.
"""
import asyncio
import json
import sys

import anthropic

BASE, MODEL = sys.argv[1:3]
TOOL = {
    "name": "weather",
    "description": "Tells the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@anthropic.beta_async_tool
async def weather(city: str) -> str:
    """Tells the weather."""
    return f"rain in {city}"


def asked(content, **more):
    return {"model": MODEL, "max_tokens": 4000, "messages": [{"role": "user", "content": content}], **more}


def blocks(message):
    return [[block.type, getattr(block, "thinking", None) or getattr(block, "text", None) or block.input] for block in message.content]


async def status_of(call):
    try:
        await call
    except anthropic.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.body["error"]["type"]]


async def main():
    client = anthropic.AsyncAnthropic(base_url=BASE, api_key="none", max_retries=0)
    told = {}
    whole = await client.messages.create(**asked("hello", system="be brief", thinking={"type": "enabled", "budget_tokens": 1024}))
    told["whole"] = [blocks(whole), whole.stop_reason, whole.usage.output_tokens > 5]
    async with client.messages.stream(**asked("hello")) as stream:
        pieces = [piece async for piece in stream.text_stream]
        final = await stream.get_final_message()
    told["streamed"] = ["".join(pieces), len(pieces) > 1, blocks(final), final.stop_reason]
    messages = asked("what is the weather?")["messages"]
    async with client.messages.stream(**asked("", tools=[TOOL]) | {"messages": messages}) as stream:
        first = await stream.get_final_message()
    use = next(block for block in first.content if block.type == "tool_use")
    messages.append({"role": "assistant", "content": first.content})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": f"rain in {use.input['city']}"}]}
    messages.append({"role": "user", "content": [result, {"type": "text", "text": "well?"}]})
    last = await client.messages.create(**asked("", tools=[TOOL]) | {"messages": messages})
    told["loop"] = [first.stop_reason, use.input, last.content[-1].text]
    runner = client.beta.messages.tool_runner(**asked("what is the weather?"), tools=[weather])
    told["runner"] = (await runner.until_done()).content[-1].text
    told["unknown"] = await status_of(client.messages.create(**asked("x") | {"model": "nobody"}))
    told["bad"] = await status_of(client.messages.create(**asked("x") | {"max_tokens": 0}))
    told["fault"] = await status_of(client.messages.create(**asked("fail midway")))
    text = ""
    try:
        async with client.messages.stream(**asked("fail midway")) as stream:
            async for piece in stream.text_stream:
                text += piece
    except anthropic.APIError as error:
        told["midway"] = [text, error.body["error"]["type"]]
    told["count"] = (await client.messages.count_tokens(model=MODEL, messages=asked("hello there")["messages"])).input_tokens
    told["models"] = [model.id async for model in client.models.list()]
    async with client.messages.stream(**asked("slowly")) as stream:
        async for _ in stream.text_stream:
            break
    print(json.dumps(told), flush=True)


asyncio.run(main())
