"""Serves a model with an adapter: py_lora.py ENDPOINT MODEL_FOLDER BASE ADAPTER

Answers `b` for the base and `x` for a request that names an adapter; prints every request's model, routing and checksum. Unregisters
the adapter at SIGUSR1.
"""
import asyncio
import json
import os
import signal
import sys

import uvloop
from dynamo.llm import ModelInput, ModelType, WorkerType, register_model, unregister_model
from dynamo.runtime import DistributedRuntime

ENDPOINT, FOLDER, BASE, ADAPTER = sys.argv[1:5]


def tell(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


async def generate(request, context):
    routing = request.get("routing") or {}
    tell("request", model=request["model"], routing=routing, sum=request["mdc_sum"], tokens=request["token_ids"])
    yield {"token_ids": [ord("x" if routing.get("lora_name") else "b")], "finish_reason": "stop"}


async def main():
    loop = asyncio.get_running_loop()
    runtime = DistributedRuntime(loop, os.environ["DYN_DISCOVERY_BACKEND"], os.environ["DYN_REQUEST_PLANE"])
    endpoint = runtime.endpoint(ENDPOINT)
    serving = asyncio.ensure_future(endpoint.serve_endpoint(generate))
    kinds = (ModelInput.Tokens, ModelType.Chat | ModelType.Completions, endpoint, FOLDER)
    await register_model(*kinds, BASE, worker_type=WorkerType.Aggregated)
    await register_model(
        *kinds,
        lora_name=ADAPTER,
        base_model_path=FOLDER,
        worker_type=WorkerType.Aggregated,
        max_gpu_lora_count=2,
    )
    asked = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, asked.set)
    tell("ready")
    await asked.wait()
    await unregister_model(endpoint, ADAPTER)
    tell("unregistered")
    await serving


uvloop.run(main())
