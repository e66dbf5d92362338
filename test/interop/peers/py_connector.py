"""Interop peer: the real ends of a virtual connector, on the etcd of ETCD_ENDPOINTS.

python py_connector.py plan NAMESPACE COUNTS    publishes each pair of a JSON list and waits until it is acknowledged
python py_connector.py deploy NAMESPACE ROUNDS  waits for so many decisions and acknowledges each

One JSON line for each step.
"""
import asyncio, json, os, sys


def say(**kw):
    print(json.dumps(kw), flush=True)


def told(decision):
    return [decision.num_prefill_workers, decision.num_decode_workers, decision.decision_id]


async def main(role, namespace, more):
    from dynamo._core import VirtualConnectorClient, VirtualConnectorCoordinator
    from dynamo.runtime import DistributedRuntime

    runtime = DistributedRuntime(asyncio.get_running_loop(), os.environ["DYN_DISCOVERY_BACKEND"], "tcp")
    if role == "plan":
        coordinator = VirtualConnectorCoordinator(runtime, namespace, 1, 60, 60)
        await coordinator.async_init()
        say(event="open", state=told(coordinator.read_state()))
        for prefill, decode in json.loads(more):
            await coordinator.update_scaling_decision(prefill, decode)
            say(event="published", state=told(coordinator.read_state()))
            while not await coordinator.is_scaling_ready():
                await asyncio.sleep(0.02)
            await coordinator.wait_for_scaling_completion()
            say(event="done", state=told(coordinator.read_state()))
    else:
        client = VirtualConnectorClient(runtime, namespace)
        say(event="open", state=told(await client.get()))
        for _ in range(int(more)):
            await client.wait()
            decision = await client.get()
            say(event="heard", state=told(decision))
            await client.complete(decision)
    say(event="end")
    # What it has written stays as long as it lives.
    await asyncio.sleep(3600)


asyncio.run(main(*sys.argv[1:]))
