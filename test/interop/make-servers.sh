#!/usr/bin/env bash
# Installs the real etcd and nats-server that tests start, where the machine lacks them and allows it.
set -u
need=()
command -v etcd >/dev/null || need+=(etcd-server)
command -v nats-server >/dev/null || [ -x /usr/sbin/nats-server ] || need+=(nats-server)
[ ${#need[@]} -eq 0 ] && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  apt-get update -qq >/dev/null 2>&1
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null 2>&1 || echo "could not install: ${need[*]}" >&2
else
  echo "not installed, and no way to install them here: ${need[*]}" >&2
fi
exit 0
