"""Triton's own client against a KServe frontend: py_triton.py HOST:PORT TENSOR_MODEL TEXT_MODEL

Makes every kind of call and prints what came of each as a JSON line {"name":..,"result":..} or {"name":..,"error":[status, text]}.
"""
import json
import queue
import sys
import time

import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

URL, TENSOR, TEXT = sys.argv[1:4]
client = grpcclient.InferenceServerClient(URL)


def say(name, make):
    try:
        line = {"name": name, "result": make()}
    except InferenceServerException as error:
        line = {"name": name, "error": [error.status(), error.message()]}
    print(json.dumps(line).replace(TENSOR, "<tensor>").replace(TEXT, "<text>"), flush=True)


def tensor(array, datatype, name="x"):
    given = grpcclient.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array)
    return given


def texts(prompt, stream=None):
    inputs = [tensor(np.array([prompt.encode()], dtype=np.object_), "BYTES", "text_input")]
    if stream is not None:
        inputs.append(tensor(np.array([stream]), "BOOL", "stream"))
    return inputs


def plain(value):
    if isinstance(value, bytes):
        return value.decode("latin1")
    return [plain(each) for each in value] if isinstance(value, list) else value


def outputs(result):
    response = result.get_response()
    return {
        "id": response.id,
        "outputs": [[each.name, each.datatype, list(each.shape), plain(result.as_numpy(each.name).tolist())] for each in response.outputs],
    }


def stream(requests):
    got = queue.Queue()
    client.start_stream(lambda result, error: got.put((result, error)))
    for request in requests:
        client.async_stream_infer(**request)
    client.stop_stream()
    seen = []
    while not got.empty():
        result, error = got.get()
        seen.append(outputs(result) if error is None else ["error", error.status(), error.message()])
    return seen


say("live", client.is_server_live)
say("ready", client.is_server_ready)
for model in (TENSOR, TEXT, "nope"):
    say(f"ready {model}", lambda: client.is_model_ready(model))
    say(f"metadata {model}", lambda: client.get_model_metadata(model, as_json=True))
    say(f"config {model}", lambda: client.get_model_config(model, as_json=True))
say("server metadata", lambda: client.get_server_metadata(as_json=True))

for name, array, datatype in (
    ("int32", np.array([[1, -2], [3, 2**31 - 1]], dtype=np.int32), "INT32"),
    ("uint64", np.array([0, 2**64 - 1], dtype=np.uint64), "UINT64"),
    ("int64", np.array([-(2**63), 2**53 + 1], dtype=np.int64), "INT64"),
    ("int8", np.array([-128, 127], dtype=np.int8), "INT8"),
    ("fp16", np.array([1.5, -0.25], dtype=np.float16), "FP16"),
    ("fp32", np.array([1.0, 0.1], dtype=np.float32), "FP32"),
    ("fp64", np.array([2.0, 1e300, 0.1], dtype=np.float64), "FP64"),
    ("bool", np.array([True, False]), "BOOL"),
    ("bytes", np.array([b"", b"\x00\xff", "h\u00e9".encode()], dtype=np.object_), "BYTES"),
    ("none", np.zeros((0,), dtype=np.int32), "INT32"),
):
    say(f"tensor {name}", lambda: outputs(client.infer(TENSOR, [tensor(array, datatype)], request_id=name)))

say("not a number", lambda: str(client.infer(TENSOR, [tensor(np.array([np.nan, np.inf], dtype=np.float32), "FP32")]).as_numpy("x").tolist()))
one = [tensor(np.array([1], dtype=np.int32), "INT32")]
say("two tensors", lambda: outputs(client.infer(TENSOR, [*one, tensor(np.array([2.5]), "FP64", "z")])))
say("tensor parameters", lambda: outputs(client.infer(TENSOR, one, parameters={"op": "echo", "n": 3, "yes": True})))
for op in ("twice", "none"):
    say(f"tensor {op}", lambda: outputs(client.infer(TENSOR, one, parameters={"op": op})))
say("tensor stream", lambda: stream([{"model_name": TENSOR, "inputs": one, "request_id": str(i), "parameters": {"op": "twice"}} for i in range(2)]))

say("text", lambda: outputs(client.infer(TEXT, texts("hello"), request_id="t")))
say("text unary with stream", lambda: outputs(client.infer(TEXT, texts("hello", True))))
say("text bad input", lambda: outputs(client.infer(TEXT, [tensor(np.array([1], dtype=np.int32), "INT32", "zzz")])))
say("text unknown model", lambda: outputs(client.infer("nope", texts("hello"))))
say("text stream", lambda: stream([{"model_name": TEXT, "inputs": texts("hello", True), "request_id": "s"}]))
say("text stream without the flag", lambda: stream([{"model_name": TEXT, "inputs": texts("hello"), "request_id": "s"}]))


def cancel_stream():
    got = queue.Queue()
    client.start_stream(lambda result, error: got.put((result, error)))
    client.async_stream_infer(TENSOR, one, parameters={"op": "wait"})
    first = outputs(got.get(timeout=20)[0])
    client.stop_stream(cancel_requests=True)
    return first


def cancel_unary():
    ended = queue.Queue()
    call = client.async_infer(TEXT, texts("wait"), callback=lambda result, error: ended.put(error))
    time.sleep(1)
    call.cancel()
    return ended.get(timeout=20).status()


say("cancel a stream", cancel_stream)
say("cancel a unary call", cancel_unary)
