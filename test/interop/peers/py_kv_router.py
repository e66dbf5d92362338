import asyncio, sys, json, os
import uvloop
from dynamo.runtime import DistributedRuntime
from dynamo.llm import KvRouter, KvRouterConfig
async def main():
    loop = asyncio.get_running_loop()
    rt = DistributedRuntime(loop, os.environ["DYN_DISCOVERY_BACKEND"], "tcp")
    ep = rt.endpoint(sys.argv[1])
    client = await ep.client(); await client.wait_for_instances()
    r = KvRouter(ep, int(sys.argv[2]), KvRouterConfig())
    await asyncio.sleep(2)
    for line in sys.stdin:
        req = json.loads(line)
        if req.get("op") == "scores": print(json.dumps(await r.get_overlap_scores(req["tokens"])), flush=True)
        elif req.get("op") == "best": print(json.dumps(await r.best_worker(req["tokens"])), flush=True)
        elif req.get("op") == "dump": print(await r.dump_events(), flush=True)
        elif req.get("op") == "quit": break
    rt.shutdown()
uvloop.install(); asyncio.run(main())
