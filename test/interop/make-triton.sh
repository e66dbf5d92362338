#!/usr/bin/env bash
# Makes the Python environment with Triton's own gRPC client beside this script, apart from the one of ai-dynamo: it asks for an older numpy.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/.venv-triton"
[ -f "$venv/.complete" ] && exit 0
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 5 'tritonclient[grpc]==2.73.0' 'numpy<2'
"$venv/bin/python" -c 'import tritonclient.grpc'
touch "$venv/.complete"
