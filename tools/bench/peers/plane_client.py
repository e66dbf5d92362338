"""The real runtime's caller in the request-plane bench: prints one JSON object."""
import asyncio
import json
import os
import sys
import time

import uvloop
from dynamo.runtime import DistributedRuntime

path, items, in_flight, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])


async def main():
    loop = asyncio.get_running_loop()
    runtime = DistributedRuntime(loop, "file", "tcp")
    client = await runtime.endpoint(path).client()
    await client.wait_for_instances()
    calls = received = 0
    latencies = []

    async def lane(end):
        nonlocal calls, received
        while time.perf_counter() < end:
            began = time.perf_counter()
            async for _ in await client.round_robin({"n": items}, annotated=False):
                received += 1
            latencies.append((time.perf_counter() - began) * 1e3)
            calls += 1

    await asyncio.gather(*[lane(time.perf_counter() + 1) for _ in range(in_flight)])
    calls = received = 0
    latencies.clear()
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*[lane(began + seconds) for _ in range(in_flight)])
    wall = time.perf_counter() - began
    latencies.sort()
    print(json.dumps({
        "callsPerSecond": calls / wall, "itemsPerSecond": received / wall, "cpuUsPerCall": (time.process_time() - cpu) * 1e6 / calls,
        "p50Ms": latencies[len(latencies) // 2], "p99Ms": latencies[int(len(latencies) * 0.99)],
    }), flush=True)
    os._exit(0)


uvloop.install()
asyncio.run(main())
