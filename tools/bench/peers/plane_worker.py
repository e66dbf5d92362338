"""The real runtime's side of the request-plane bench: echoes once, or counts to n."""
import asyncio
import signal
import sys

import uvloop
from dynamo.runtime import DistributedRuntime


async def generate(request, context):
    for i in range(request["n"]):
        yield {"i": i}


async def main():
    loop = asyncio.get_running_loop()
    runtime = DistributedRuntime(loop, "file", "tcp")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runtime.shutdown)
    print("ready", flush=True)
    await runtime.endpoint(sys.argv[1]).serve_endpoint(generate)


uvloop.install()
asyncio.run(main())
