"""Serves a tensor model and a text model: py_tensor.py ENDPOINT_PREFIX MODEL_FOLDER TENSOR_NAME TEXT_NAME [CONFIG_HEX]

The tensor model answers what the parameter `op` of a request asks for: `echo` (the default) gives the tensors back, `twice` does
so twice, `none` gives nothing, `raise` fails, `bad` gives a shape that its data does not have, `wait` gives one answer and then
waits until it is stopped. The text model gives the prompt back token by token; `wait` in it waits at the end, `boom` fails.
Prints {"event":"ready"}, {"event":"request",..} and {"event":"stopped"}.
"""
import asyncio
import json
import os
import sys

import uvloop
from dynamo.llm import ModelInput, ModelType, WorkerType, register_model
from dynamo.runtime import DistributedRuntime

PREFIX, FOLDER, TENSOR, TEXT = sys.argv[1:5]
CONFIG = bytes.fromhex(sys.argv[5]) if len(sys.argv) > 5 else None


def say(**event):
    print(json.dumps(event), flush=True)


async def stopped(context, **event):
    while not context.is_stopped():
        await asyncio.sleep(0.02)
    say(event="stopped", **event)


async def tensors(request, context):
    say(event="request", request=repr(request)[:500])
    op = request.get("parameters", {}).get("op", {}).get("string", "echo")
    answer = {"model": request["model"], "id": "worker", "tensors": request["tensors"]}
    if "tell" in request.get("parameters", {}):
        answer["parameters"] = request["parameters"]
    if op in ("echo", "twice", "wait"):
        yield answer
    if op == "twice":
        yield answer
    if op == "raise":
        raise ValueError("scripted boom")
    if op == "bad":
        yield {**answer, "tensors": [{"metadata": {"name": "y", "data_type": "Int32", "shape": [3]}, "data": {"data_type": "Int32", "values": [7, 8]}}]}
    if op == "wait":
        await stopped(context, model=TENSOR)


async def text(request, context):
    prompt = bytes(t for t in request["token_ids"] if t < 256).decode("utf-8", "replace")
    for token in request["token_ids"]:
        yield {"token_ids": [token]}
    if "boom" in prompt:
        raise RuntimeError("scripted boom")
    if "wait" in prompt:
        await stopped(context, model=TEXT)
    else:
        yield {"token_ids": [], "finish_reason": "stop"}


async def main():
    runtime = DistributedRuntime(asyncio.get_running_loop(), os.environ["DYN_DISCOVERY_BACKEND"], os.environ["DYN_REQUEST_PLANE"])
    config = {
        "name": TENSOR,
        "inputs": [{"name": "x", "data_type": "Int32", "shape": [-1]}],
        "outputs": [{"name": "y", "data_type": "Int32", "shape": [-1]}],
    }
    if CONFIG is not None:
        config["triton_model_config"] = list(CONFIG)
    serving = []
    for kind, flags, handler, name, more in (
        (ModelInput.Tensor, ModelType.TensorBased, tensors, TENSOR, {"tensor_model_config": config}),
        (ModelInput.Tokens, ModelType.Completions, text, TEXT, {}),
    ):
        endpoint = runtime.endpoint(f"{PREFIX}.{name}")
        serving.append(asyncio.ensure_future(endpoint.serve_endpoint(handler)))
        await register_model(kind, flags, endpoint, FOLDER, name, worker_type=WorkerType.Aggregated, **more)
    say(event="ready")
    await asyncio.gather(*serving)


uvloop.run(main())
