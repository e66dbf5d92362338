"""The real runtime in the events bench: `say` or `hear`, told over standard input how many events there will be.

It says `ready`; a publisher then sends an event every 20 ms until it is told the number, waits a second, and sends that many
at once; a subscriber says `heard` at the first event, and counts from when it is told the number. Both end with one JSON object.
"""
import asyncio
import json
import os
import sys
import threading
import time

from dynamo._core import FpmDirectPublisher
from dynamo.llm import FpmEventSubscriber
from dynamo.runtime import DistributedRuntime

# A subscriber that has waited so long for the next event has lost it, in seconds.
PATIENCE = 3


def say(publisher):
    numbers = []
    threading.Thread(target=lambda: numbers.append(int(sys.stdin.readline())), daemon=True).start()

    def publish(n):
        publisher.publish(
            dp_rank=0, scheduled_num_prefill_requests=n, scheduled_sum_prefill_tokens=2**40, scheduled_sum_prefill_kv_tokens=0,
            scheduled_num_decode_requests=0, scheduled_sum_decode_kv_tokens=0, queued_num_prefill_requests=0,
            queued_sum_prefill_tokens=0, queued_num_decode_requests=0, queued_sum_decode_kv_tokens=0, wall_time_secs=0.5)

    while not numbers:
        publish(0)
        time.sleep(0.02)
    time.sleep(1)
    cpu, began = time.process_time(), time.perf_counter()
    for n in range(numbers[0]):
        publish(n)
    sent = time.perf_counter() - began
    # What it has only queued costs as well.
    time.sleep(PATIENCE)
    print(json.dumps({"cpuUs": (time.process_time() - cpu) * 1e6 / numbers[0], "seconds": sent}), flush=True)


def hear(subscriber):
    wanted, count, first, last, cpu = 0, 0, 0.0, 0.0, 0.0

    def told():
        nonlocal wanted, count, cpu
        number = int(sys.stdin.readline())
        count, cpu, wanted = 0, time.process_time(), number

    def watch():
        while True:
            time.sleep(0.1)
            if wanted and (count >= wanted or (count and time.perf_counter() - last > PATIENCE)):
                used = (time.process_time() - cpu) * 1e6 / count
                print(json.dumps({"events": min(count, wanted), "seconds": last - first, "cpuUs": used}), flush=True)
                os._exit(0)

    subscriber.recv()
    print("heard", flush=True)
    threading.Thread(target=told, daemon=True).start()
    threading.Thread(target=watch, daemon=True).start()
    while subscriber.recv() is not None:
        last = time.perf_counter()
        if count == 0:
            first = last
        count += 1


async def main():
    loop = asyncio.get_running_loop()
    endpoint = DistributedRuntime(loop, "file", "tcp").endpoint("bench.backend.generate")
    role = say if sys.argv[1] == "say" else hear
    peer = FpmDirectPublisher(endpoint, "bench") if role is say else FpmEventSubscriber(endpoint)
    print("ready", flush=True)
    await loop.run_in_executor(None, role, peer)
    os._exit(0)


asyncio.run(main())
