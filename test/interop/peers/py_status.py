"""Interop peer: a real worker whose status server is looked at. Usage: python py_status.py

HEALTH_PAYLOAD: payload of generate's health check. LORA=1: serves the three LoRA endpoints too. READY=1: says that it is ready.
"""
import asyncio, json, os, signal
import uvloop
from dynamo.runtime import DistributedRuntime


async def generate(request, context):
    op = request.get("op") if isinstance(request, dict) else None
    if op == "fail":
        raise ValueError("bad")
    if op == "hang":
        await asyncio.sleep(1000)
    if op == "none":
        return
    yield {"ok": request}


async def lora(request, context):
    name = request.get("lora_name")
    if name == "silent":
        return
    if name == "refused":
        yield {"status": "error", "message": "not today"}
    elif name == "bare":
        yield {"lora_id": "text", "more": 1}
    else:
        yield {"status": "success", "message": "done", "lora_name": name, "lora_id": 2**63 + 1, "loras": {"a": 1}, "count": 1, "extra": True}
        yield {"second": 1}


async def main():
    runtime = DistributedRuntime(asyncio.get_running_loop(), "file", "tcp")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, runtime.shutdown)

    async def route(body):
        if isinstance(body, dict) and body.get("fail"):
            raise ValueError("route failed")
        return {"status": "ok", "body": body}

    runtime.register_engine_route("demo_route", route)
    runtime.register_engine_route("deep/er", route)
    payload = os.environ.get("HEALTH_PAYLOAD")
    serving = [runtime.endpoint("demo.backend.generate").serve_endpoint(generate, health_check_payload=json.loads(payload) if payload else None)]
    if os.environ.get("LORA"):
        serving += [runtime.endpoint("demo.backend." + name).serve_endpoint(lora) for name in ("list_loras", "load_lora", "unload_lora")]
    if os.environ.get("READY"):
        runtime.set_health_status(True)
    await asyncio.gather(*serving)


uvloop.install()
asyncio.run(main())
