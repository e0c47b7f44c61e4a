#!/usr/bin/env bash
# Proves that `git clone` and `make run` work on a machine that has git, make and Python and no more, and `make test` once
# it has Chromium, too.
#
# usage: prove.sh [WORK_FOLDER [REPOSITORY]]
#
#   WORK_FOLDER  where the clean root and the logs go; default: a new folder under ${TMPDIR:-/tmp}, removed on success
#   REPOSITORY   the repository whose HEAD is proved; default: the one this script is in
#
# Needs root (debootstrap and chroot do), debootstrap, git, unshare and a way to Debian, PyPI and npm. What a checkout
# has not committed is not proved. See README.md beside this file.
set -euo pipefail

SUITE=bookworm
PACKAGES=git,make,python3,python3-venv,ca-certificates,curl

# The settings that say where packages come from; all else about this machine stays outside.
PASSED_ON="http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY
  SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO
  NPM_CONFIG_REGISTRY NPM_CONFIG_CAFILE NPM_CONFIG_PROXY NPM_CONFIG_HTTPS_PROXY NPM_CONFIG_STRICT_SSL
  npm_config_registry npm_config_cafile npm_config_proxy npm_config_https_proxy npm_config_strict_ssl"
PIP_SETTINGS="index-url extra-index-url trusted-host proxy cert client-cert timeout default-timeout retries"
NPM_SETTINGS='^[[:space:]]*(//|@[^=]*:registry|registry|ca|cafile|proxy|https-proxy|noproxy|strict-ssl)'
CA_BUNDLES="/etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem"

fail() {
  echo "error: $*" >&2
  exit 1
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -le 2 ] || fail "usage: prove.sh [WORK_FOLDER [REPOSITORY]]"
[ "$(id -u)" = 0 ] || fail "debootstrap and chroot need root"
for tool in debootstrap git unshare chroot timeout; do
  command -v "$tool" >/dev/null || fail "$tool is not installed"
done

if [ -n "${1:-}" ]; then
  work=$(mkdir -p "$1" && cd "$1" && pwd)
  temporary=
else
  work=$(mktemp -d)
  temporary=$work
fi
root=$work/root
[ ! -e "$root" ] || fail "$root is there already"
repository=$(git -C "${2:-$here}" rev-parse --show-toplevel)

# Every mount and process of the clean root lives in namespaces that end with their first process, so that nothing of
# this machine is ever below $root here. The check and --one-file-system are for the day when that no longer holds.
isolated=(unshare --mount --pid --fork --kill-child)
child=

clean_up() {
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  if grep -qF " $root/" /proc/self/mountinfo; then
    echo "not removed, something is mounted below it: $root" >&2
  else
    rm -rf --one-file-system -- "$root"
  fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# bounded LIMIT_S COMMAND...: in the background, because bash hears of Ctrl-C while it waits for that, not before.
bounded() {
  local status=0
  timeout --kill-after=5 "$@" </dev/null &
  child=$!
  wait "$child" || status=$?
  child=
  return "$status"
}

step() {
  local limit_s=$1 log=$work/$2.log start=$SECONDS status=0
  shift 2
  echo "+ $*" | cut -c -200
  bounded "$limit_s" "$@" >"$log" 2>&1 || status=$?
  if [ "$status" != 0 ]; then
    tail -n 40 "$log" >&2
    fail "exit status $status (124: the limit of $limit_s s); the whole output is in $log"
  fi
  echo "  ok, $((SECONDS - start)) s"
}

# --- the root ---------------------------------------------------------------------------------------------------------

step 900 debootstrap "${isolated[@]}" debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}

# A bundle carries what is committed and nothing else; the clone itself is made by the clean root's git.
mkdir "$root/prove"
echo "HEAD of $repository: $(git -C "$repository" log -1 --format='%h %s')"
step 60 bundle git -C "$repository" bundle create "$root/prove/repository.bundle" HEAD
cp "$here/inside.sh" "$root/prove/inside.sh"

# --- the way to the registries ----------------------------------------------------------------------------------------

environment=(HOME=/root "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" LANG=C.UTF-8)

# copy_in FILE: gives the clean root a file of this machine under the same name.
copy_in() {
  mkdir -p "$root$(dirname "$1")"
  cp --dereference --remove-destination "$1" "$root$1"
}

copy_in /etc/resolv.conf
[ ! -e /etc/hosts ] || copy_in /etc/hosts
for bundle in $CA_BUNDLES; do
  if [ -s "$bundle" ]; then
    cp --dereference "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"
    break
  fi
done

for name in $PASSED_ON; do
  value=${!name:-}
  [ -n "$value" ] || continue
  environment+=("$name=$value")
  [ ! -f "$value" ] || copy_in "$value"
done

# pip's settings come from the environment or, after that, from its files. Folders of this machine are left out.
for setting in $PIP_SETTINGS; do
  name=PIP_$(tr 'a-z-' 'A-Z_' <<<"$setting")
  value=${!name:-$(python3 -m pip config get "global.$setting" 2>/dev/null || true)}
  if [[ $setting == *index-url ]]; then
    value=$(tr -s '[:space:]' '\n' <<<"$value" | grep -E '^https?://' | paste -sd ' ' || true)
  fi
  [ -n "$value" ] || continue
  environment+=("$name=$value")
  [ ! -f "$value" ] || copy_in "$value"
done

# npm reads its global file before the user's; a later line wins.
if command -v npm >/dev/null; then
  npm_files=("$(npm config get globalconfig 2>/dev/null || true)" "$(npm config get userconfig 2>/dev/null || true)")
else
  npm_files=(/etc/npmrc "$HOME/.npmrc")
fi
for file in "${npm_files[@]}"; do
  [ -f "$file" ] || continue
  grep -E "$NPM_SETTINGS" "$file" >>"$root/root/.npmrc" || true
  cafile=$(sed -n 's/^[[:space:]]*cafile[[:space:]]*=[[:space:]]*//p' "$file" | tail -n 1)
  [ ! -f "$cafile" ] || copy_in "$cafile"
done

# --- the proof --------------------------------------------------------------------------------------------------------

# A network namespace of its own would cut the way to the registries, so the port is shared with this machine.
if (exec 3<>"/dev/tcp/127.0.0.1/${PORT:-8000}") 2>/dev/null; then
  fail "something listens on port ${PORT:-8000} already; PORT=... chooses another one"
fi
[ -z "${PORT:-}" ] || environment+=("PORT=$PORT")

status=0
bounded 5400 "${isolated[@]}" env -i "${environment[@]}" chroot "$root" bash /prove/inside.sh || status=$?
cp "$root"/prove/*.log "$work" 2>/dev/null || true
[ "$status" = 0 ] || fail "exit status $status; the logs are in $work"

clean_up
[ -z "$temporary" ] || rm -rf --one-file-system -- "$temporary"
echo "clean root: make run and make test work"
