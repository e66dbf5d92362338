"""Asks /v1/responses as people do, with the openai and openai-agents packages: py_responses.py BASE_URL MODEL

Prints one JSON object of what came of it.
"""
import asyncio
import json
import sys

import openai
from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled

BASE, MODEL = sys.argv[1:3]
set_tracing_disabled(True)


@function_tool
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"rain in {city}"


async def main():
    client = openai.AsyncOpenAI(base_url=BASE, api_key="none", max_retries=0)
    told = {}
    whole = await client.responses.create(model=MODEL, input="hello", instructions="be brief")
    told["whole"] = [whole.output_text, whole.status, whole.usage.output_tokens]
    stream = await client.responses.create(model=MODEL, input="hello", stream=True)
    events = [event async for event in stream]
    told["numbers"] = [event.sequence_number for event in events] == list(range(len(events)))
    told["streamed"] = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    told["last"] = events[-1].type
    more = await client.responses.create(model=MODEL, input="again", previous_response_id=whole.id)
    told["more"] = [more.output_text, (await client.responses.retrieve(whole.id)).output_text]
    await client.responses.delete(whole.id)
    for name, question in (("bad", {"input": "hello", "temperature": 9}), ("gone", {"input": "x", "previous_response_id": whole.id})):
        try:
            await client.responses.create(model=MODEL, **question)
        except openai.APIStatusError as error:
            told[name] = error.status_code
    async for event in await client.responses.create(model=MODEL, input="fail midway", stream=True):
        told["failed"] = event.type
    slow = await client.responses.create(model=MODEL, input="slowly", stream=True)
    async for event in slow:
        if event.type == "response.output_text.delta":
            break
    await slow.close()
    agent = Agent(name="a", instructions="be brief", tools=[weather], model=OpenAIResponsesModel(model=MODEL, openai_client=client))
    told["agent"] = (await Runner.run(agent, "how is the weather?")).final_output
    streamed = Runner.run_streamed(agent, "how is the weather?")
    async for _ in streamed.stream_events():
        pass
    told["agent_streamed"] = streamed.final_output
    print(json.dumps(told), flush=True)


asyncio.run(main())
