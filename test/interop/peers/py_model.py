"""Serves models under every kind of registration: py_model.py JSON

JSON: [{"endpoint", "model", "input": "Tokens", "types": ["Chat"], "role": "Aggregated", "needs": [["Prefill"]], "name", "aliases",
"user_data", "taints"}]. Every request is answered with the bytes of "hi". Prints {"event":"ready"}.
"""
import asyncio
import json
import os
import sys

import uvloop
from dynamo.llm import ModelInput, ModelRuntimeConfig, ModelType, WorkerType, register_model
from dynamo.runtime import DistributedRuntime

WISHES = json.loads(sys.argv[1])


async def generate(request, context):
    yield {"token_ids": [104, 105]}
    yield {"token_ids": [], "finish_reason": "stop"}


def model_type(names):
    result = ModelType.Empty
    for name in names:
        result = result | getattr(ModelType, name)
    return result


async def serve(runtime, wish):
    endpoint = runtime.endpoint(wish["endpoint"])
    config = ModelRuntimeConfig()
    if wish.get("taints"):
        config.taints = set(wish["taints"])
    more = {}
    if wish.get("needs"):
        more["needs"] = [[getattr(WorkerType, role) for role in all_of] for all_of in wish["needs"]]
    if wish.get("aliases"):
        more["model_aliases"] = wish["aliases"]
    if wish.get("user_data"):
        more["user_data"] = wish["user_data"]
    serving = asyncio.ensure_future(endpoint.serve_endpoint(generate))
    types = wish.get("types", ["Chat", "Completions"])
    await register_model(
        getattr(ModelInput, wish.get("input", "Tokens")),
        model_type(types),
        endpoint,
        wish["model"],
        wish.get("name"),
        worker_type=getattr(WorkerType, wish.get("role", "Aggregated")),
        runtime_config=config,
        **more,
    )
    return serving


async def main():
    runtime = DistributedRuntime(asyncio.get_running_loop(), os.environ["DYN_DISCOVERY_BACKEND"], os.environ["DYN_REQUEST_PLANE"])
    serving = [await serve(runtime, wish) for wish in WISHES]
    print(json.dumps({"event": "ready"}), flush=True)
    await asyncio.gather(*serving)


uvloop.run(main())
