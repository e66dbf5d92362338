"""Serves a model whose answers are scripted: py_scripted.py ENDPOINT MODEL_FOLDER NAME TOOL_PARSER REASONING_PARSER

SCRIPTS holds a JSON object of chunks of token ids by name; the prompt picks one by `@@NAME@@`. Prints {"event":"ready"}.
"""
import asyncio
import json
import os
import re
import sys

import uvloop
from dynamo.llm import ModelInput, ModelRuntimeConfig, ModelType, WorkerType, register_model
from dynamo.runtime import DistributedRuntime

ENDPOINT, FOLDER, NAME, TOOLS, REASONING = sys.argv[1:6]
SCRIPTS = json.loads(os.environ["SCRIPTS"])


async def generate(request, context):
    prompt = bytes(t for t in request["token_ids"] if t < 256).decode("utf-8", "replace")
    for ids in SCRIPTS[re.search(r"@@(\w+)@@", prompt).group(1)]:
        yield {"token_ids": ids}
    yield {"token_ids": [], "finish_reason": "stop"}


async def main():
    runtime = DistributedRuntime(asyncio.get_running_loop(), os.environ["DYN_DISCOVERY_BACKEND"], os.environ["DYN_REQUEST_PLANE"])
    endpoint = runtime.endpoint(ENDPOINT)
    config = ModelRuntimeConfig()
    if TOOLS:
        config.tool_call_parser = TOOLS
    if REASONING:
        config.reasoning_parser = REASONING
    serving = asyncio.ensure_future(endpoint.serve_endpoint(generate))
    await register_model(
        ModelInput.Tokens, ModelType.Chat, endpoint, FOLDER, NAME, worker_type=WorkerType.Aggregated, runtime_config=config
    )
    print(json.dumps({"event": "ready"}), flush=True)
    await serving


uvloop.run(main())
