"""The real runtime's caller in the request-plane bench: says when its warm-up is over, and then its figures as one JSON object."""
import asyncio
import json
import os
import sys
import time

import uvloop
from dynamo.runtime import DistributedRuntime

path, load, seconds = sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3])
request = {"n": load["items"], "bytes": load.get("itemBytes", 0), "text": "x" * load.get("requestBytes", 0)}


async def main():
    loop = asyncio.get_running_loop()
    runtime = DistributedRuntime(loop, "file", os.environ.get("DYN_REQUEST_PLANE", "tcp"))
    client = await runtime.endpoint(path).client()
    await client.wait_for_instances()
    calls = received = 0
    latencies = []

    async def lane(end):
        nonlocal calls, received
        while time.perf_counter() < end:
            began = time.perf_counter()
            async for _ in await client.round_robin(request, annotated=False):
                received += 1
            latencies.append((time.perf_counter() - began) * 1e3)
            calls += 1

    await asyncio.gather(*[lane(time.perf_counter() + 1) for _ in range(load["inFlight"])])
    calls = received = 0
    latencies.clear()
    print("begun", flush=True)
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*[lane(began + seconds) for _ in range(load["inFlight"])])
    wall = time.perf_counter() - began
    latencies.sort()
    print(json.dumps({
        "calls": calls, "callsPerSecond": calls / wall, "itemsPerSecond": received / wall,
        "callerCpuUs": (time.process_time() - cpu) * 1e6 / calls,
        "p50Ms": latencies[len(latencies) // 2], "p99Ms": latencies[int(len(latencies) * 0.99)],
    }), flush=True)
    os._exit(0)


uvloop.install()
asyncio.run(main())
