"""Serves a model under every kind of registration: py_model.py ENDPOINT MODEL JSON

JSON: {"input": "Tokens", "type": "Chat", "role": "Aggregated", "needs": [["Prefill"]], "name", "aliases", "user_data", "taints"}.
Every request is answered with the bytes of "hi". Prints {"event":"ready"}.
"""
import asyncio
import json
import os
import sys

import uvloop
from dynamo.llm import ModelInput, ModelRuntimeConfig, ModelType, WorkerType, register_model
from dynamo.runtime import DistributedRuntime

ENDPOINT, MODEL = sys.argv[1:3]
WISH = json.loads(sys.argv[3])


async def generate(request, context):
    yield {"token_ids": [104, 105]}
    yield {"token_ids": [], "finish_reason": "stop"}


def model_type(names):
    result = None
    for name in names:
        one = getattr(ModelType, name)
        result = one if result is None else result | one
    return result


async def main():
    runtime = DistributedRuntime(asyncio.get_running_loop(), os.environ["DYN_DISCOVERY_BACKEND"], os.environ["DYN_REQUEST_PLANE"])
    endpoint = runtime.endpoint(ENDPOINT)
    config = ModelRuntimeConfig()
    if WISH.get("taints"):
        config.taints = set(WISH["taints"])
    more = {}
    if WISH.get("needs"):
        more["needs"] = [[getattr(WorkerType, role) for role in all_of] for all_of in WISH["needs"]]
    if WISH.get("aliases"):
        more["model_aliases"] = WISH["aliases"]
    if WISH.get("user_data"):
        more["user_data"] = WISH["user_data"]
    serving = asyncio.ensure_future(endpoint.serve_endpoint(generate))
    await register_model(
        getattr(ModelInput, WISH.get("input", "Tokens")),
        model_type(WISH.get("types", ["Chat", "Completions"])),
        endpoint,
        MODEL,
        WISH.get("name"),
        worker_type=getattr(WorkerType, WISH.get("role", "Aggregated")),
        runtime_config=config,
        **more,
    )
    print(json.dumps({"event": "ready"}), flush=True)
    await serving


uvloop.run(main())
