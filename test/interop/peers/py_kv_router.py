import asyncio, sys, json, os
import uvloop
from dynamo.runtime import DistributedRuntime
from dynamo.llm import KvRouter, KvRouterConfig

async def answer(router, request):
    op, tokens = request["op"], request.get("tokens")
    if op == "scores":
        return await router.get_overlap_scores(tokens)
    if op == "best":
        return await router.best_worker(tokens, request_id=request.get("id"))
    if op == "loads":
        return await router.get_potential_loads(tokens)
    if op == "free":
        await router.free(request["id"])
        return {}
    if op == "generate":
        stop = {"max_tokens": request.get("max_tokens", 2)}
        return [item async for item in await router.generate(tokens, "m", stop_conditions=stop)]
    if op == "dump":
        return json.loads(await router.dump_events())
    raise ValueError(op)

async def main():
    loop = asyncio.get_running_loop()
    runtime = DistributedRuntime(loop, os.environ["DYN_DISCOVERY_BACKEND"], "tcp")
    endpoint = runtime.endpoint(sys.argv[1])
    client = await endpoint.client()
    await client.wait_for_instances()
    config = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    router = KvRouter(endpoint, int(sys.argv[2]), KvRouterConfig(**config))
    await asyncio.sleep(2)
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "quit":
            break
        try:
            told = await answer(router, request)
        except Exception as error:
            told = {"error": str(error)}
        print(json.dumps(told), flush=True)
    runtime.shutdown()

uvloop.install()
asyncio.run(main())
