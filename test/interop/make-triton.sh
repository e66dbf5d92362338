#!/usr/bin/env bash
# Makes the Python environment with Triton's own gRPC client beside this script, apart from the one of ai-dynamo: their numpy may differ.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/.triton"
[ -f "$venv/.complete" ] && exit 0
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 5 'tritonclient[grpc]==2.73.0'
"$venv/bin/python" -c 'import tritonclient.grpc'
touch "$venv/.complete"
