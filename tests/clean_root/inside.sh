#!/usr/bin/env bash
# The proof itself; prove.sh runs it as the first process of a clean root, with mounts and process ids of its own.
set -euo pipefail

RUN_LIMIT_S=1200
STOP_LIMIT_S=30
TEST_LIMIT_S=2400

mount -t proc proc /proc
mount -t tmpfs tmpfs /dev/shm

log=/dev/null
fail() {
  tail -n 60 "$log" >&2
  echo "error: $*" >&2
  exit 1
}

echo "in the clean root: $(git --version), $(make --version | head -n 1), $(python3 --version)"
for tool in cc node npm docker uv pip; do
  ! command -v "$tool" >/dev/null || fail "the clean root is not clean: it has $tool"
done

echo "+ git clone; cd"
log=/prove/clone.log
git clone --quiet /prove/repository.bundle /root/project >"$log" 2>&1 || fail "git clone failed"
cd /root/project

# --- make run, then the line it prints, pasted ------------------------------------------------------------------------

echo "+ make run"
log=/prove/run.log
start=$SECONDS
# Job control gives the job a process group and lets SIGINT through, as in a terminal.
set -m
make run ${PORT:+"PORT=$PORT"} >"$log" 2>&1 </dev/null &
server=$!
set +m
until grep -q '^ *curl ' "$log"; do
  kill -0 "$server" 2>/dev/null || fail "make run ended"
  [ $((SECONDS - start)) -lt "$RUN_LIMIT_S" ] || fail "make run printed no curl line within $RUN_LIMIT_S s"
  sleep 0.2
done
echo "  prints its example after $((SECONDS - start)) s"

# From the line that begins with curl to the first that no backslash continues.
example=$(awk '/^ *curl / { on = 1 } on { print } on && !/\\$/ { exit }' "$log")
echo "+ $example"
answer=$(timeout 60 bash -c "$example" 2>>"$log") || fail "the curl line failed: $answer"
echo "  $answer"
python3 -c '
import json, sys
content = json.load(sys.stdin)["choices"][0]["message"]["content"]
sys.exit(content != "Où est la gare ?")
' <<<"$answer" || fail "the answer is not the translation"

echo "+ Ctrl-C"
start=$SECONDS
kill -INT -- "-$server"
while kill -0 "$server" 2>/dev/null; do
  [ $((SECONDS - start)) -lt "$STOP_LIMIT_S" ] || fail "make run did not stop within $STOP_LIMIT_S s"
  sleep 0.2
done
echo "  stopped"

# --- make test --------------------------------------------------------------------------------------------------------

echo "+ apt-get install chromium"
log=/prove/chromium.log
{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } \
  >"$log" 2>&1 </dev/null || fail "the browser that README.md names cannot be installed"

echo "+ make test"
log=/prove/test.log
start=$SECONDS
timeout --kill-after=10 "$TEST_LIMIT_S" make test >"$log" 2>&1 </dev/null || fail "make test failed"
grep -E '^=+ .*(passed|failed)' "$log" | tail -n 1 || true
echo "  ok, $((SECONDS - start)) s"

git diff --quiet || fail "make run or make test changed tracked files: $(git diff --name-only | head)"
untracked=$(git status --porcelain)
[ -z "$untracked" ] || fail "make run or make test left files that .gitignore does not name: $untracked"
