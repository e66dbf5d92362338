"""Prints what one update costs in nanoseconds with the library that Python workers count with."""
import json, sys, time
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

calls = int(float(sys.argv[1]))
BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600]
registry = CollectorRegistry()
counter = Counter("c", "C", ["model", "route"], registry=registry)
bound = counter.labels("m", "chat")
gauge = Gauge("g", "G", registry=registry)
histogram = Histogram("h", "H", buckets=BUCKETS, registry=registry)


def timed(update):
    took = []
    for _ in range(7):
        start = time.perf_counter_ns()
        for at in range(calls):
            update(at)
        took.append((time.perf_counter_ns() - start) / calls)
    return sorted(took)[3]


print(json.dumps({
    "counter, bound": timed(lambda at: bound.inc()),
    "counter, by labels": timed(lambda at: counter.labels("m", "chat").inc()),
    "gauge": timed(lambda at: gauge.set(at)),
    "histogram of 17 buckets": timed(lambda at: histogram.observe((at % 1000) / 50)),
}))
