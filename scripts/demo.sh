#!/usr/bin/env bash
#
# demo.sh - stowplan at work: `make demo` runs it.
#
# Copies fixtures/projects/demo to a temporary directory, makes it a git
# repository, and plans, locks, changes and applies it there, as a person would
# type it. Its images are removed at the end, and so is the directory. Uses the
# engine that is there ($STOWPLAN_CONTAINER_ENGINE chooses); where there is none
# and it is root, it brings up those of the tests for as long as it runs.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
PATH=$root/.venv/bin:$PATH
exec </dev/null
export GIT_AUTHOR_NAME=demo GIT_AUTHOR_EMAIL=demo@example.com
export GIT_COMMITTER_NAME=demo GIT_COMMITTER_EMAIL=demo@example.com
export GIT_CONFIG_GLOBAL=/dev/null

work=$(mktemp -d)
engine=
images=()
started=no

say() { printf '\n# %s\n' "$*"; }
die() {
  printf '\ndemo: error: %s\n' "$*" >&2
  exit 1
}

# The commands of this page, each shown as a person types it, each bounded.
run() {
  printf '\n$ %s\n' "$*"
  timeout 600 "$@"
}

# select_images FILE EXPRESSION: one line for each image of a JSON report, where it is not empty.
select_images() {
  python -c "
import json, sys
with open(sys.argv[1]) as file:
    for image in json.load(file)['images']:
        if line := $2:
            print(line)
" "$1"
}

finish() {
  local rc=$?
  trap - EXIT
  if [ -n "$engine" ] && [ ${#images[@]} -gt 0 ]; then
    timeout 60 "$engine" rmi "${images[@]}" >/dev/null 2>&1 || true
  fi
  if [ "$started" = yes ]; then
    timeout 120 "$root/scripts/engines.sh" down || true
  fi
  cd /
  rm -rf "$work"
  exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ----------------------------------------------------------------- an engine

answers() { command -v "$1" >/dev/null && timeout 30 "$1" info >/dev/null 2>&1; }

choose() {
  local settings name
  settings=$("$root/scripts/engines.sh" env)
  eval "$settings"
  for name in ${STOWPLAN_CONTAINER_ENGINE:-docker podman}; do
    if answers "$name"; then
      engine=$name
      return 0
    fi
  done
  return 1
}

command -v stowplan >/dev/null || die "stowplan is not installed: run 'make demo'"
if ! choose; then
  [ "$(id -u)" -eq 0 ] || die "${STOWPLAN_CONTAINER_ENGINE:-no container engine} does not answer: start Docker or Podman"
  say "no container engine answers: bringing one up (a few minutes the first time)"
  started=yes
  "$root/scripts/engines.sh" up
  choose || die "${STOWPLAN_CONTAINER_ENGINE:-no container engine} does not answer"
fi
export STOWPLAN_CONTAINER_ENGINE=$engine

# --------------------------------------------------------------- the project

cp -R "$root/fixtures/projects/demo" "$work/project"
cd "$work/project"
git init --quiet --initial-branch=main
git add .
git commit --quiet --message "A pipeline of three steps"

say "A project: three steps, two images, in stowplan.toml"
run cat stowplan.toml

say "What will be built, before anything is"
run stowplan plan
run stowplan lock
run git add stowplan.lock
run git commit --quiet --message "Lock the images"

say "One requirement changes: what does that mean for the images?"
run sed -i 's/iniconfig==2.0.0/iniconfig==2.1.0/' requirements.txt
run stowplan plan
run stowplan diff
run stowplan lock
run git commit --quiet --all --message "Use iniconfig 2.1"

# What is going to be built is known already, and so what to remove at the end.
timeout 600 stowplan plan -o json >"$work/planned.json"
mapfile -t images < <(select_images "$work/planned.json" "image['reference']")

say "Build them with $engine"
run stowplan apply

say "Again: nothing has changed, so nothing is built"
run stowplan apply
run stowplan lock --check
run stowplan builds list

# The same once more for programs: any other action than `reuse` fails the demo.
timeout 600 stowplan apply -o json >"$work/applied.json"
not_reused=$(select_images "$work/applied.json" "image['name'] if image['action'] != 'reuse' else ''")
[ -z "$not_reused" ] || die "the second apply did not reuse: $not_reused"
[ ${#images[@]} -eq 2 ] || die "expected two images, found ${#images[@]}"

say "The steps run in their images"
run "$engine" run --rm "${images[0]}" python -m training.load
run "$engine" run --rm "${images[1]}" python -m training.train
run "$engine" run --rm "${images[0]}" python -m training.evaluate

printf '\nThe demo worked: two images planned, locked, changed, built with %s, reused and run.\n' "$engine"
