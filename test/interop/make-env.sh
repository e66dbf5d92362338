#!/usr/bin/env bash
# Makes the Python environment with the real ai-dynamo 1.6.1 beside this script. About a minute; nothing to do the second time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/.venv"
[ -f "$venv/.complete" ] && exit 0
rm -rf "$venv"
python3 -m venv "$venv"
pip() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 5 "$@"; }
pip ai-dynamo-runtime==1.6.1 transformers pyzmq msgspec msgpack uvloop aiohttp prometheus_client 'kubernetes<33,>=32.0.1' redis zstandard xxhash requests
# Not all that it asks for is to be had; what its frontend imports is listed above.
pip --no-deps ai-dynamo==1.6.1
"$venv/bin/python" -c 'import dynamo.runtime, dynamo.llm.exceptions, dynamo.frontend, uvloop'
touch "$venv/.complete"
