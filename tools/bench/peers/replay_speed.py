"""One offline replay of the real system: prints requests and CPU milliseconds as JSON, once per round."""
import json
import sys
import time

from dynamo._core import run_mocker_synthetic_trace_replay, run_mocker_trace_replay

trace, mode, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
for _ in range(rounds):
    began = time.process_time()
    if trace == "synthetic":
        result = run_mocker_synthetic_trace_replay(
            1024, 128, 100_000, extra_engine_args={}, num_workers=4, router_mode=mode,
            request_rate=40.0, shared_prefix_ratio=0.5, num_prefix_groups=20,
        )
    else:
        result = run_mocker_trace_replay([trace], extra_engine_args={}, num_workers=4, router_mode=mode, trace_block_size=512)
    cpu = (time.process_time() - began) * 1000
    print("FIGURE " + json.dumps({"requests": dict(result.summary)["num_requests"], "cpuMs": cpu}), flush=True)
