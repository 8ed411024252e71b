# shellcheck shell=bash
# Installs Debian packages whose commands are missing. Sourced by ./run and ./test.

# need COMMAND PACKAGE [COMMAND PACKAGE …]: a COMMAND with a slash in it is a file that must exist.
need() {
  local missing=()
  while [ $# -gt 0 ]; do
    case $1 in
      */*) [ -e "$1" ] || missing+=("$2") ;;
      *) command -v "$1" >/dev/null || missing+=("$2") ;;
    esac
    shift 2
  done
  [ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
}

install() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || give_up "Missing packages: $*. Install them as root, then start again."
    as_root=(sudo)
  fi
  command -v apt-get >/dev/null || give_up "Missing: $*. Install them with this system's package tool, then start again."
  echo "Installing Debian packages: $*"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

need_rust() {
  command -v cargo >/dev/null || give_up "Rust is missing: install it from https://rustup.rs, then start again."
  need cc build-essential /etc/ssl/certs/ca-certificates.crt ca-certificates
}

# Node packages of a folder, unless they are there already.
npm_packages() {
  need node nodejs npm npm
  if [ ! "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ]; then
    npm --prefix "$1" ci --no-fund --no-audit --loglevel=error
  fi
}

# Python packages of a folder's requirements.txt, in its .venv, unless they are there already.
python_packages() {
  need python3 python3
  python3 -c 'import ensurepip' 2>/dev/null || install python3-venv
  if [ ! "$1/.venv/requirements.txt" -nt "$1/requirements.txt" ]; then
    python3 -m venv "$1/.venv"
    "$1/.venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$1/requirements.txt"
    cp "$1/requirements.txt" "$1/.venv/requirements.txt"
  fi
}

build_page() {
  npm_packages gateway/web
  npm --prefix gateway/web run --silent build
}

give_up() {
  echo "$*" >&2
  exit 1
}
