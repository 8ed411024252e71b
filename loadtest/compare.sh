#!/usr/bin/env bash
# The gateway beside Debian's Kamailio in one run: ./loadtest/compare.sh [options of `loadtest compare`]
# Everything is on 127.0.0.1 and in a folder that is removed afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked --package gateway --package loadtest
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077

for n in $(seq 0 999); do
  password=$(head -c 9 /dev/urandom | base64)
  printf 'load%04d %s\n' "$n" "$password" >>"$work/users"
  printf 'load%04d:%s\n' "$n" "$password" >>"$work/gateway-users"
done

cat >"$work/gateway.toml" <<EOF
[listen]
wss = "127.0.0.1:5093"
ws = "127.0.0.1:5090"
sip_udp = "127.0.0.1:5094"
sip_tcp = "off"
[admin]
listen = "127.0.0.1:5095"
[browser]
domain = "load.example"
without_origin = true
algorithms = ["MD5"]
[users]
file = "gateway-users"
[dialplan]
trunk = "load"
[[trunk]]
name = "load"
address = "127.0.0.1:5097"
cidrs = ["127.0.0.0/8"]
[relay]
browser_port = 0
rtp_ports = [20000, 31999]
[limits]
connections_per_address = 10000
messages_per_second = 1000
calls_per_user = 100
bindings_per_user = 100
[log]
filter = "warn"
EOF

"$target/release/loadtest" compare \
  --gateway "$target/release/gateway" --gateway-config "$work/gateway.toml" \
  --gateway-target ws://127.0.0.1:5090/ws --gateway-tls-target wss://127.0.0.1:5093/ws \
  --trunk-listen 127.0.0.1:5097 --users-file "$work/users" --domain load.example "$@"
