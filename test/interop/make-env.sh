#!/usr/bin/env bash
# Makes two Python environments beside this script: the real ai-dynamo 1.6.1, and clients that people use. Two minutes; nothing to do the second time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

# Begins an environment, unless it is complete.
begin() {
  venv="$here/$1"
  [ -f "$venv/.complete" ] && return 1
  rm -rf "$venv"
  python3 -m venv "$venv"
}
pip() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 5 "$@"; }

if begin .venv; then
  pip ai-dynamo-runtime==1.6.1 transformers pyzmq msgspec msgpack uvloop aiohttp prometheus_client 'kubernetes<33,>=32.0.1' redis zstandard xxhash requests jinja2==3.1.6
  # Not all that it asks for is to be had; what its frontend imports is listed above.
  pip --no-deps ai-dynamo==1.6.1
  "$venv/bin/python" -c 'import dynamo.runtime, dynamo.llm.exceptions, dynamo.frontend, uvloop'
  touch "$venv/.complete"
fi

# Apart from the real one, whose packages must stay what it was captured with.
if begin .venv-clients; then
  pip openai==3.57.0 openai-agents==0.24.0 langchain-openai==1.7.4 litellm==1.110.2
  LITELLM_LOCAL_MODEL_COST_MAP=True "$venv/bin/python" -c 'import openai, agents, langchain_openai, litellm'
  touch "$venv/.complete"
fi

# Environments that were made before it was on the list get it, too.
venv="$here/.venv-clients"
"$venv/bin/python" -c 'import anthropic' 2>/dev/null || pip anthropic==2.14.0
