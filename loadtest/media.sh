#!/usr/bin/env bash
# The relay beside Debian's rtpengine and coturn and a bare forwarder: ./loadtest/media.sh [options of `loadtest media`]
# Installs the two if they are missing; everything is on 127.0.0.1, started and ended by the load test.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v rtpengine >/dev/null || missing+=(rtpengine-daemon)
command -v turnserver >/dev/null || missing+=(coturn)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update
  # Debian would start a service with its package; the measurement has its own.
  RUNLEVEL=1 apt-get install --yes --no-install-recommends "${missing[@]}"
fi

target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked --package media-relay --package loadtest
exec "$target/release/loadtest" media --relay "$target/release/media-relay" "$@"
