"""An object store (moto): py_store.py; prints its address and one caller's credentials.

Its bucket `loras` has the adapter `team a/ü` and what of it needs no percent as `team/v1.2`, its bucket `signed` is one. After `POST /moto-api/reset-auth` with `0` it checks
signatures, of addresses that need no percent: it reckons others wrongly, also those of AWS's own client.
"""
import json
import os
import threading

os.environ.update(AWS_ACCESS_KEY_ID="root", AWS_SECRET_ACCESS_KEY="root", AWS_DEFAULT_REGION="us-east-1")

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"

iam = boto3.client("iam", endpoint_url=url)
iam.create_user(UserName="caller")
key = iam.create_access_key(UserName="caller")["AccessKey"]
allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
iam.put_user_policy(UserName="caller", PolicyName="all", PolicyDocument=json.dumps(allowed))

s3 = boto3.client("s3", endpoint_url=url)
s3.create_bucket(Bucket="loras")
for name, body in {
    "adapter_config.json": b'{"r":8}',
    "adapter_model.safetensors": b"w" * 200_000,
    "more/tokens+1&2 (a).json": b"[]",
    "more/plain.json": b"{}",
    "more/": b"",
}.items():
    s3.put_object(Bucket="loras", Key=f"team a/ü/{name}", Body=body)
    if not set(name) & set("+& ") and not name.endswith("/"):
        s3.put_object(Bucket="loras", Key=f"team/v1.2/{name}", Body=body)
s3.put_object(Bucket="loras", Key="team a/ü2/adapter_config.json", Body=b"another")

s3.create_bucket(Bucket="signed")
for name in ["adapter_config.json", "adapter_model.bin"]:
    s3.put_object(Bucket="signed", Key=name, Body=b"{}")

print(json.dumps({"event": "ready", "url": url, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)
threading.Event().wait()
