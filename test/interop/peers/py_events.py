"""Interop peer: the real ai-dynamo on the event plane, and a broker that is neither theirs nor ours.

python py_events.py say ENDPOINT_PATH        publishes forward-pass metrics and KV events for the endpoint until it is stopped
python py_events.py hear ENDPOINT_PATH       prints every forward-pass metrics message that it hears
python py_events.py broker XSUB XPUB         passes ZMQ messages from one address on to the other

Configure with the usual DYN_* variables. One JSON line each: what was published, heard, or that the peer is there.
"""
import asyncio, json, sys, threading


def say(**kw):
    print(json.dumps(kw, default=str), flush=True)


def broker(xsub, xpub):
    import zmq

    context = zmq.Context()
    inward, outward = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
    inward.bind(xsub)
    outward.bind(xpub)
    say(event="ready")
    zmq.proxy(inward, outward)


async def runtime():
    import os
    from dynamo.runtime import DistributedRuntime

    loop = asyncio.get_running_loop()
    return DistributedRuntime(loop, os.environ["DYN_DISCOVERY_BACKEND"], os.environ.get("DYN_REQUEST_PLANE", "tcp"))


async def publish(path):
    from dynamo._core import FpmDirectPublisher
    from dynamo.llm import KvEventPublisher

    endpoint = (await runtime()).endpoint(path)
    metrics = FpmDirectPublisher(endpoint, "a-real-worker")
    cache = KvEventPublisher(endpoint, worker_id=4242, kv_block_size=4)
    say(event="ready")
    n = 0
    while True:
        metrics.publish(
            dp_rank=0,
            scheduled_num_prefill_requests=n,
            scheduled_sum_prefill_tokens=2**40 + n,
            scheduled_sum_prefill_kv_tokens=0,
            scheduled_num_decode_requests=0,
            scheduled_sum_decode_kv_tokens=0,
            queued_num_prefill_requests=0,
            queued_sum_prefill_tokens=0,
            queued_num_decode_requests=0,
            queued_sum_decode_kv_tokens=0,
            wall_time_secs=0.5,
        )
        cache.publish_stored(token_ids=[n, n + 1, n + 2, n + 3], num_block_tokens=[4], block_hashes=[1000 + n], parent_hash=None)
        n += 1
        await asyncio.sleep(0.02)


async def hear(path):
    import msgspec
    from dynamo.llm import FpmEventSubscriber

    endpoint = (await runtime()).endpoint(path)
    subscriber = FpmEventSubscriber(endpoint)
    say(event="ready")

    def receive():
        while (data := subscriber.recv()) is not None:
            say(event="heard", message=msgspec.msgpack.decode(data))

    threading.Thread(target=receive, daemon=True).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    mode, *rest = sys.argv[1:]
    if mode == "broker":
        broker(*rest)
    else:
        asyncio.run({"say": publish, "hear": hear}[mode](*rest))
