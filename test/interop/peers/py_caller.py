"""Interop peer: the real ai-dynamo client makes the calls of a plan, as caller.ts does for ours.

python py_caller.py PLAN: one JSON line for each call of the plan (see matrix-plan.ts); calls marked `later` begin when a line
arrives on standard input, all at once, and each says first that it has begun. Configure with the usual DYN_* variables.
"""
import asyncio, json, os, sys

import uvloop
from dynamo._core import Client
from dynamo.runtime import Context, DistributedRuntime


def say(**line):
    print(json.dumps(line, default=repr, ensure_ascii=False), flush=True)


def summary(value):
    if isinstance(value, str) and len(value) > 1000:
        return f"{len(value)} × {''.join(dict.fromkeys(value))}"
    if isinstance(value, list):
        return [summary(item) for item in value]
    return {name: summary(member) for name, member in value.items()} if isinstance(value, dict) else value


async def make(call, client):
    who = {"name": call["name"], "worker": call["worker"]}
    context, items = Context(call["id"]), []
    request = {**call["request"], "s": "x" * call["fill"]} if "fill" in call else call["request"]
    try:
        async for item in await client.round_robin(request, annotated=False, context=context):
            items.append(summary(item))
            if call.get("later") and len(items) == 3:
                say(**who, begun=True)
            if len(items) == call.get("stopAfter"):
                context.stop_generating()
            if len(items) == call.get("dropAfter"):
                break
        say(**who, items=items, end="ok")
    except Exception as error:
        say(**who, items=items, end="error", code=type(error).__name__, message=str(error))


async def main():
    loop = asyncio.get_running_loop()
    runtime = DistributedRuntime(loop, os.environ["DYN_DISCOVERY_BACKEND"], os.environ["DYN_REQUEST_PLANE"])
    plan = [call for call in json.loads(sys.argv[1]) if "input" not in call]
    clients = {}
    for call in plan:
        if call["endpoint"] not in clients:
            clients[call["endpoint"]] = await runtime.endpoint(call["endpoint"]).client()
            await clients[call["endpoint"]].wait_for_instances()
    for call in plan:
        if not call.get("later") and not call.get("last"):
            await make(call, clients[call["endpoint"]])
    # What the plan asks for beyond these, the real client has no call for.
    say(ready=True, calls=[name for name in dir(Client) if not name.startswith(("_", "wait_", "instance"))])
    await loop.run_in_executor(None, sys.stdin.readline)
    await asyncio.gather(*[make(call, clients[call["endpoint"]]) for call in plan if call.get("later")])
    for call in plan:
        if call.get("last"):
            await make(call, clients[call["endpoint"]])
    runtime.shutdown()


uvloop.install()
asyncio.run(main())
