"""Calls an endpoint for each line {"endpoint": ..., "request": ...} and prints what came back."""
import asyncio, json, os, sys
import uvloop
from dynamo.runtime import DistributedRuntime

async def ask(runtime, clients, endpoint, request):
    if endpoint not in clients:
        clients[endpoint] = await runtime.endpoint(endpoint).client()
    client = clients[endpoint]
    await client.wait_for_instances()
    stream = await client.generate(request)
    items = []
    while True:
        try:
            item = await asyncio.wait_for(stream.__anext__(), 10)
        except StopAsyncIteration:
            return items
        data = getattr(item, "data", None)
        items.append(data() if callable(data) else item)

async def main():
    runtime = DistributedRuntime(asyncio.get_running_loop(), os.environ["DYN_DISCOVERY_BACKEND"], "tcp")
    clients = {}
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            told = {"items": await ask(runtime, clients, asked["endpoint"], asked["request"])}
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(told), flush=True)
    runtime.shutdown()

uvloop.install()
asyncio.run(main())
