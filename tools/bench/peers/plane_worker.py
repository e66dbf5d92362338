"""The real runtime's side of the request-plane bench: counts to n, with some text in each item where that is asked for."""
import asyncio
import os
import signal
import sys

import uvloop
from dynamo.runtime import DistributedRuntime


async def generate(request, context):
    size = request["bytes"]
    for i in range(request["n"]):
        yield {"i": i, "text": "x" * size} if size else {"i": i}


async def main():
    loop = asyncio.get_running_loop()
    runtime = DistributedRuntime(loop, "file", os.environ.get("DYN_REQUEST_PLANE", "tcp"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runtime.shutdown)
    print("ready", flush=True)
    await runtime.endpoint(sys.argv[1]).serve_endpoint(generate)


uvloop.install()
asyncio.run(main())
