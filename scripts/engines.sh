#!/usr/bin/env bash
#
# engines.sh - real container engines for stowplan's tests and demo.
#
#   scripts/engines.sh up       bring up what is missing, use what is there
#   scripts/engines.sh status   one line per thing; exit 0 only if all are there
#   scripts/engines.sh env      'export NAME=value' lines: eval "$(scripts/engines.sh env)"
#   scripts/engines.sh down     stop what this script started, by its own pids
#
# It owns:
#   - the state directory ${STOWPLAN_ENGINES_DIR:-/var/lib/stowplan-engines}:
#     Docker's data, the two registries' storage, unpacked packages, pids, logs;
#   - the processes whose pids it wrote there: one dockerd (default socket), a
#     registry on 127.0.0.1:5000 (no login, deletion on: the tests' registry and
#     the mirror of Docker Hub), a registry on 127.0.0.1:5001 (with a login);
#   - the link /usr/local/lib/docker/cli-plugins/docker-buildx, and
#     /usr/local/bin/docker where the machine has no docker client at all;
#   - the files stowplan-engines.conf in /etc/containers/registries.conf.d and,
#     only where podman cannot run a container without it, containers.conf.d;
#   - the file /etc/containers/networks/podman.json, only where there is none
#     and the way out has a smaller MTU than bridges have.
# It installs Debian packages that are missing, and leaves them installed.
#
# It refuses:
#   - to replace an engine, a registry or a base image that already works, or
#     any file that it did not write (a link is made only where nothing is);
#   - a state directory that holds something and is not its own;
#   - to install anything when not root, or not on Debian or Ubuntu: it says
#     what is missing and exits 1;
#   - to use a service manager, or to stop a process that it did not start;
#   - to change the system's apt configuration, and to copy logins (apt's
#     auth.conf, netrc) into the base image.
#
# Settings:
#   STOWPLAN_ENGINES_DIR     the state directory
#   STOWPLAN_ENGINES_DOCKER  'current' (default): where the distribution's own
#                            docker.io is older than 23, run Debian 13's dockerd
#                            beside the system instead, since older daemons
#                            ignore SOURCE_DATE_EPOCH and know no heredocs;
#                            'distro': run the distribution's dockerd as it is.
set -euo pipefail

STATE=${STOWPLAN_ENGINES_DIR:-/var/lib/stowplan-engines}
FLAVOUR=${STOWPLAN_ENGINES_DOCKER:-current}

REGISTRY=127.0.0.1:5000
AUTH_REGISTRY=127.0.0.1:5001
AUTH_USER=stowplan
AUTH_PASSWORD=stowplan-test
# bcrypt of AUTH_PASSWORD: a password for tests on the loopback, no secret.
# shellcheck disable=SC2016
AUTH_HASH='$2b$05$CrQDEU2ChcLuChv1pFo8fO4TDoO5OsVIQVSXXr/DUP5.Xg3b6oJbO'

BASE=python:3.11-slim
BASE_REPO=library/python
BASE_TAG=3.11-slim
BASE_FULL=docker.io/$BASE_REPO:$BASE_TAG
BASE_SUITE=bookworm # the Debian release whose python3 is 3.11
OLD_DOCKER=23       # a daemon older than this counts as old
NEW_SUITE=trixie    # the Debian release that a newer Docker is taken from

SOCKET=/var/run/docker.sock
PLUGIN_DIR=/usr/local/lib/docker/cli-plugins
CONTAINERS_DROPIN=/etc/containers/containers.conf.d/stowplan-engines.conf
REGISTRIES_DROPIN=/etc/containers/registries.conf.d/stowplan-engines.conf
PODMAN_NETWORK=/etc/containers/networks/podman.json
PATH=$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin
export DEBIAN_FRONTEND=noninteractive

say() { printf 'engines: %s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# logged NAME COMMAND...: run a noisy step; on failure show the end of its log.
logged() {
  local log=$STATE/log/$1.log rc=0
  shift
  "$@" >"$log" 2>&1 </dev/null || rc=$?
  if [ "$rc" -ne 0 ]; then
    say "failed (exit $rc): $*"
    show_log "$log"
    return "$rc"
  fi
}

show_log() {
  say "the last lines of $1:"
  tail -n 20 "$1" >&2 || true
}

# wait_for SECONDS PID COMMAND...: until COMMAND works; gives up early when PID ended.
wait_for() {
  local end=$((SECONDS + $1)) pid=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ] || ! runs "$pid"; then return 1; fi
    sleep 0.2
  done
}

have() { command -v "$1" >/dev/null 2>&1; }
# link TARGET LINK: make LINK where nothing is, or where only a dangling link is.
link() {
  if [ -L "$2" ] && [ ! -e "$2" ]; then rm -f "$2"; fi
  if [ -e "$2" ]; then
    [ "$(readlink -f "$2")" = "$(readlink -f "$1")" ] || die "$2 is already there and not ours: not replacing it"
    return 0
  fi
  mkdir -p "${2%/*}"
  ln -s "$1" "$2"
}
is_root() { [ "$(id -u)" -eq 0 ]; }
os_release() { (
  # shellcheck source=/dev/null
  . /etc/os-release 2>/dev/null || true
  printf '%s' "${!1:-}"
); }
is_debian_like() {
  have apt-get && case " $(os_release ID) $(os_release ID_LIKE) " in
    *' debian '* | *' ubuntu '*) true ;;
    *) false ;;
  esac
}

# --------------------------------------------------------------- processes

# A pid file holds "PID STARTTIME", so that a pid used again is not taken for ours.
starttime() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  stat=${stat##*) }
  case $stat in Z* | X*) return 1 ;; esac
  # shellcheck disable=SC2086
  set -- $stat
  printf '%s' "${20}"
}
runs() { starttime "$1" >/dev/null; }

# own_pid NAME: the pid of a process that we started and that still runs.
own_pid() {
  local pid start
  { read -r pid start <"$STATE/run/$1.pid"; } 2>/dev/null || return 1
  [ -n "$start" ] && [ "$(starttime "$pid" || true)" = "$start" ] || return 1
  printf '%s' "$pid"
}

# start NAME COMMAND...: in the background, in its own session; sets STARTED.
STARTED=
start() {
  local name=$1
  shift
  setsid "$@" >"$STATE/log/$name.log" 2>&1 </dev/null 9>&- &
  STARTED=$!
  disown
  printf '%s %s\n' "$STARTED" "$(starttime "$STARTED" || true)" >"$STATE/run/$name.pid"
}

# stop NAME: TERM, then after 30 s KILL.
stop() {
  local pid end
  if pid=$(own_pid "$1"); then
    say "$1: stopping (pid $pid)"
    kill -TERM "$pid" 2>/dev/null || true
    end=$((SECONDS + 30))
    while runs "$pid"; do
      if [ "$SECONDS" -ge "$end" ]; then
        kill -KILL "$pid" 2>/dev/null || true
        sleep 1
        break
      fi
      sleep 0.1
    done
  fi
  rm -f "$STATE/run/$1.pid"
}

# ---------------------------------------------------------------- packages

APT_UPDATED=
POLICY_WRITTEN=

# need WHAT PACKAGE...: die unless packages can be installed here.
need() {
  local what=$1
  shift
  is_root || die "$what is missing and this is not root: install it ($*), or run this as root"
  is_debian_like || die "$what is missing and this is neither Debian nor Ubuntu: install it ($*)"
}

apt_update() {
  [ -z "$APT_UPDATED" ] || return 0
  say "apt: reading the package lists"
  logged apt-update timeout 300 apt-get update ||
    say "apt: some lists could not be read; going on with what there is"
  APT_UPDATED=1
}

apt_candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -v '^(none)$'; }
apt_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

apt_install() {
  apt_update
  say "apt: installing $*"
  # No service manager is used: keep the packages' scripts from starting daemons.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    POLICY_WRITTEN=1
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
  fi
  logged "apt-$1" timeout 900 apt-get -o DPkg::Lock::Timeout=300 -y \
    --no-install-recommends install "$@" || die "apt could not install: $*"
  drop_policy
}

drop_policy() {
  if [ -n "$POLICY_WRITTEN" ]; then
    rm -f /usr/sbin/policy-rc.d
    POLICY_WRITTEN=
  fi
}

# debian_targets: 'SITE RELEASE COMPONENT' of the machine's own Debian sources.
debian_targets() {
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(ORIGIN)|$(SITE) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' | sed -n 's/^Debian|//p' | sort -u
}
debian_site() { debian_targets | awk '$2 !~ /security|updates|backports/ && !n++ { print $1 }'; }

# take_new PACKAGE...: unpack packages of $NEW_SUITE beside the system, with an
# apt configuration of our own; the system's is read (proxies), never changed.
take_new() {
  local dir=$STATE/new site keyring=/usr/share/keyrings/debian-archive-keyring.gpg package
  local missing=()
  for package in "$@"; do
    [ -e "$dir/$package.done" ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  apt_update
  site=$(debian_site)
  if [ -z "$site" ] || [ ! -e "$keyring" ]; then
    die "cannot take ${missing[*]} from Debian $NEW_SUITE: this machine's apt has no Debian source; install docker and its buildx plugin"
  fi
  say "apt: unpacking Debian $NEW_SUITE's ${missing[*]} under $dir"
  rm -rf "$dir/apt"
  mkdir -p "$dir/apt/state/lists/partial" "$dir/apt/cache/archives/partial" "$dir/apt/debs" "$dir/root"
  : >"$dir/apt/status"
  printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$site" "$NEW_SUITE" >"$dir/apt/sources.list"
  cat >"$dir/apt/apt.conf" <<CONF
Dir::State "$dir/apt/state";
Dir::State::status "$dir/apt/status";
Dir::Cache "$dir/apt/cache";
Dir::Etc::sourcelist "$dir/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "-";
APT::Sandbox::User "root";
CONF
  APT_CONFIG=$dir/apt/apt.conf logged apt-new-update timeout 300 apt-get update ||
    die "cannot read Debian $NEW_SUITE's package lists"
  for package in "${missing[@]}"; do
    (cd "$dir/apt/debs" && APT_CONFIG=$dir/apt/apt.conf logged "apt-new-$package" \
      timeout 300 apt-get download "$package") || die "cannot download $package"
    logged "unpack-$package" dpkg-deb -x "$dir/apt/debs/${package}"_*.deb "$dir/root" ||
      die "cannot unpack $package"
    : >"$dir/$package.done"
  done
  rm -rf "$dir/apt"
}

# -------------------------------------------------------------- registries

# http_code URL [CURL-ARGUMENT...]: the status, 000 when nothing answers.
http_code() {
  local url=$1
  shift
  curl --noproxy '*' -s -o /dev/null -m 5 -w '%{http_code}' "$@" "$url" 2>/dev/null || true
}
registry_up() { [ "$(http_code "http://$REGISTRY/v2/")" = 200 ]; }
auth_registry_up() {
  [ "$(http_code "http://$AUTH_REGISTRY/v2/")" = 401 ] &&
    [ "$(http_code "http://$AUTH_REGISTRY/v2/" -u "$AUTH_USER:$AUTH_PASSWORD")" = 200 ]
}
registry_version() {
  if own_pid "$1" >/dev/null; then
    echo "docker-registry $(docker-registry --version 2>/dev/null | sed 's/.* //'), pid $(own_pid "$1")"
  else
    echo "was there already"
  fi
}

# ensure_registry NAME ADDRESS CHECK
ensure_registry() {
  local name=$1 address=$2 check=$3 conf=$STATE/$1/config.yml
  if "$check"; then return 0; fi
  stop "$name"
  [ "$(http_code "http://$address/")" = 000 ] ||
    die "$name: something else answers on $address"
  if ! have docker-registry; then
    need "a registry on $address" docker-registry
    apt_install docker-registry
  fi
  mkdir -p "$STATE/$name/data"
  cat >"$conf" <<CONF
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: "$STATE/$name/data"}
  delete: {enabled: true}
http: {addr: "$address"}
CONF
  if [ "$name" = auth-registry ]; then
    printf '%s:%s\n' "$AUTH_USER" "$AUTH_HASH" >"$STATE/$name/htpasswd"
    printf 'auth: {htpasswd: {realm: stowplan-tests, path: "%s"}}\n' "$STATE/$name/htpasswd" >>"$conf"
  fi
  say "$name: starting on $address"
  start "$name" docker-registry serve "$conf"
  if ! wait_for 20 "$STARTED" "$check"; then
    stop "$name"
    show_log "$STATE/log/$name.log"
    die "$name did not come up"
  fi
}

# ------------------------------------------------------------------ docker

docker_version() { timeout 15 docker version --format '{{.Server.Version}}' 2>/dev/null; }
docker_up() { have docker && docker_version >/dev/null; }
buildx_up() { have docker && timeout 15 docker buildx version >/dev/null 2>&1; }

# Speak to the daemon that answers: DOCKER_HOST or the context as it is set,
# else the default socket, where ours listens.
choose_docker() {
  if own_pid dockerd >/dev/null; then
    export DOCKER_HOST=unix://$SOCKET
  elif ! docker_up && DOCKER_HOST=unix://$SOCKET docker_up; then
    export DOCKER_HOST=unix://$SOCKET
  fi
}

default_mtu() {
  local iface
  iface=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route)
  [ -n "$iface" ] && cat "/sys/class/net/$iface/mtu"
}

# Whether to run a newer Debian's dockerd: decided once, then by what is unpacked.
wants_new_docker() {
  [ "$FLAVOUR" = current ] || return 1
  if [ -e "$STATE/new/docker.io.done" ]; then return 0; fi
  apt_update
  ! dpkg --compare-versions "$(apt_candidate docker.io || echo 0)" ge "$OLD_DOCKER" && [ -n "$(debian_site)" ]
}

# A client first: without one, a daemon that is well would look as if it did not answer.
ensure_docker_client() {
  if have docker; then return 0; fi
  need "a docker client" docker.io
  apt_update
  if [ -n "$(apt_candidate docker-cli || true)" ]; then
    apt_install docker-cli
  else
    take_new docker-cli
    link "$STATE/new/root/usr/bin/docker" /usr/local/bin/docker
  fi
  hash -r
  have docker || die "a docker client was installed, and is not on PATH"
}

ensure_docker() {
  local path=$PATH data mtu containerd args=()
  ensure_docker_client
  choose_docker
  if docker_up; then return 0; fi
  stop dockerd
  need "a Docker engine that answers" docker.io
  if wants_new_docker; then
    take_new docker.io containerd
    # The daemon is a newer Debian's; what it runs and calls is this system's.
    if ! have runc || ! have iptables; then apt_install runc iptables; fi
    path=$STATE/new/root/usr/sbin:$STATE/new/root/usr/bin:$PATH
    data=$STATE/docker-$NEW_SUITE
  else
    have dockerd || apt_install docker.io
    data=$STATE/docker
  fi
  # Left behind by a daemon that was killed: dockerd would take the old pids at their word.
  rm -f "$STATE/run/dockerd.own"
  containerd=$STATE/docker-exec/containerd/containerd.pid
  if [ -e "$containerd" ] && ! grep -qsF "$STATE" "/proc/$(<"$containerd")/cmdline"; then
    rm -f "$containerd"
  fi
  mtu=$(default_mtu || true)
  if [ -n "$mtu" ] && [ "$mtu" -lt 1500 ]; then args+=("--mtu=$mtu"); fi
  say "docker: starting $(PATH=$path dockerd --version)"
  export DOCKER_HOST=unix://$SOCKET
  start dockerd env "PATH=$path" dockerd --host "$DOCKER_HOST" --data-root "$data" \
    --exec-root "$STATE/docker-exec" --pidfile "$STATE/run/dockerd.own" \
    --registry-mirror "http://$REGISTRY" "${args[@]}"
  if ! wait_for 60 "$STARTED" docker_up; then
    stop dockerd
    show_log "$STATE/log/dockerd.log"
    die "dockerd did not come up"
  fi
}

ensure_buildx() {
  local plugin
  if buildx_up; then return 0; fi
  need "docker buildx" docker-buildx
  apt_update
  if [ -n "$(apt_candidate docker-buildx || true)" ]; then
    apt_install docker-buildx
  else
    take_new docker-buildx
    plugin=$STATE/new/root/usr/libexec/docker/cli-plugins/docker-buildx
    link "$plugin" "$PLUGIN_DIR/docker-buildx"
  fi
  buildx_up || die "docker buildx was installed, and still does not answer"
}

# -------------------------------------------------------------- base image

# The digest of the base image in our registry, if it is there.
registry_base_digest() {
  local digest
  digest=$(curl --noproxy '*' -sfI -m 5 \
    -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
    -H 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' \
    -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
    -H 'Accept: application/vnd.oci.image.index.v1+json' \
    "http://$REGISTRY/v2/$BASE_REPO/manifests/$BASE_TAG" 2>/dev/null |
    tr -d '\r' | sed -n 's/^docker-content-digest: //Ip')
  [ -n "$digest" ] && printf '%s' "$digest"
}
# The digests by which an engine's own copy of the base image can be named.
docker_base_digests() {
  timeout 15 docker image inspect -f '{{join .RepoDigests "\n"}}' "$BASE" 2>/dev/null |
    sed -n 's/^\(docker.io\/library\/\)\?python@//p' | grep .
}
podman_base_digests() {
  timeout 30 podman image inspect -f '{{join .RepoDigests "\n"}}' "$BASE_FULL" 2>/dev/null |
    sed -n 's/^docker.io\/library\/python@//p' | grep .
}
# base_in ENGINE: it has the base image, the one in our registry if that has one.
base_in() {
  local digests want
  digests=$("${1}_base_digests") || return 1
  want=$(registry_base_digest) || return 0
  grep -qxF "$want" <<<"$digests"
}

pull_base() {
  timeout 300 docker pull -q "$BASE" >"$STATE/log/base-pull.log" 2>&1 </dev/null && base_in docker
}

ensure_base() {
  if base_in docker; then return 0; fi
  if [ -z "$(registry_base_digest || true)" ]; then
    say "base image: trying to pull $BASE"
    if pull_base; then return 0; fi
    make_base
  fi
  say "base image: pulling $BASE from $REGISTRY"
  if ! pull_base; then
    show_log "$STATE/log/base-pull.log"
    die "docker does not take $BASE from the registry on $REGISTRY: does its daemon have http://$REGISTRY as a registry mirror?"
  fi
}

make_base() {
  local root=$STATE/base/rootfs site bundle ref=$REGISTRY/$BASE_REPO:$BASE_TAG name
  local changes=(
    --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin'
    --change 'ENV LANG=C.UTF-8'
    --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'
    --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt'
    --change 'CMD ["python3"]'
  )
  need "the base image $BASE" "no registry has it; a base image of our own needs debootstrap"
  apt_update
  site=$(debian_site)
  [ -n "$site" ] || die "base image: no registry has $BASE, and this machine's apt has no Debian source to make one from"
  have debootstrap || apt_install debootstrap
  say "base image: making one with debootstrap (about a minute)"
  rm -rf "$STATE/base"
  mkdir -p "$root"
  logged debootstrap timeout 900 debootstrap --variant=minbase \
    --include=python3,python3-pip,python3-venv,ca-certificates \
    "$BASE_SUITE" "$root" "$site" || die "debootstrap failed"

  # This machine's own certificates, apt sources, and proxies or indexes.
  bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
  [ -s "$bundle" ] || bundle=/etc/ssl/certs/ca-certificates.crt
  for name in /usr/local/share/ca-certificates/*.crt; do
    if [ -f "$name" ]; then cp "$name" "$root/usr/local/share/ca-certificates/"; fi
  done
  logged base-certificates chroot "$root" update-ca-certificates || die "base image: update-ca-certificates failed"
  if [ -s "$bundle" ]; then cp "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"; fi
  chmod 644 "$root/etc/ssl/certs/ca-certificates.crt"
  debian_targets | awk -v s="$BASE_SUITE" '$2 == s || index($2, s "-") == 1 { print "deb", $1, $2, $3 }' \
    >"$root/etc/apt/sources.list"
  if [ ! -s "$root/etc/apt/sources.list" ]; then
    printf 'deb %s %s main\n' "$site" "$BASE_SUITE" >"$root/etc/apt/sources.list"
  fi
  apt-config dump | grep -E '^Acquire::https?(::| )' | grep -v ' "";$' \
    >"$root/etc/apt/apt.conf.d/80machine" || rm -f "$root/etc/apt/apt.conf.d/80machine"
  base_pip_conf >"$root/etc/pip.conf"
  if [ ! -s "$root/etc/pip.conf" ]; then rm -f "$root/etc/pip.conf"; fi
  for name in "${XDG_CONFIG_HOME:-$HOME/.config}/uv/uv.toml" /etc/uv/uv.toml; do
    if [ -s "$name" ]; then
      mkdir -p "$root/etc/uv"
      cp "$name" "$root/etc/uv/uv.toml"
      break
    fi
  done
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY \
    UV_DEFAULT_INDEX UV_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL; do
    if [ -n "${!name:-}" ]; then changes+=(--change "ENV $name=\"${!name}\""); fi
  done

  # As in the official image: a `python`, no daemons, no apt caches, no docs.
  ln -s /usr/bin/python3 "$root/usr/local/bin/python"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  cat >"$root/etc/apt/apt.conf.d/docker-clean" <<'CONF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
CONF
  cat >"$root/etc/dpkg/dpkg.cfg.d/docker" <<'CONF'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
CONF
  find "$root/usr/share/doc" -type f ! -name copyright -delete
  rm -rf "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/var/lib/apt/lists/* \
    "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin "$root"/var/log/*.log \
    "$root"/var/cache/debconf/*-old "$root/etc/resolv.conf" "$root/etc/hostname"

  say "base image: importing it and pushing it to $REGISTRY"
  logged base-import import_base "$root" "$ref" "${changes[@]}" || die "docker import failed"
  logged base-push timeout 300 docker push "$ref" || die "cannot push the base image to $REGISTRY"
  timeout 60 docker rmi "$ref" >/dev/null 2>&1 || true
  rm -rf "$STATE/base"
}

import_base() {
  local root=$1 ref=$2
  shift 2
  tar -C "$root" --numeric-owner --one-file-system -cf - . | timeout 300 docker import "$@" - "$ref"
}

# pip's indexes and proxy as configured on this machine; no files, no logins of its own.
base_pip_conf() {
  local python=python3 lines
  have python3 || return 0
  lines=$(timeout 30 "$python" -m pip config list 2>/dev/null |
    sed -n "s/^\(global\|install\|:env:\)\.\(index-url\|extra-index-url\|trusted-host\|proxy\)='\(.*\)'\$/\2 = \3/p" |
    grep -v 'file:' || true)
  if [ -n "$lines" ]; then printf '[global]\n%s\n' "$lines"; fi
}

# ------------------------------------------------------------------ podman

podman_version() { timeout 30 podman info --format '{{.Version.Version}}' 2>/dev/null; }
podman_up() { have podman && podman_version >/dev/null; }
podman_runs() { timeout 60 podman run --rm --pull=never "$BASE_FULL" true; }

ensure_podman() {
  if ! podman_up; then
    need podman podman
    # runc before podman: apt would choose crun, which refuses hybrid cgroups.
    apt_install podman runc iptables netavark aardvark-dns fuse-overlayfs uidmap catatonit
    podman_up || podman_conf
    podman_up || {
      timeout 30 podman info >"$STATE/log/podman-info.log" 2>&1 </dev/null || true
      show_log "$STATE/log/podman-info.log"
      die "podman was installed, and 'podman info' does not work"
    }
  fi
  ensure_podman_registries
  ensure_podman_mtu
  if ! base_in podman || [ "$(podman_base_digests | wc -l)" -gt 1 ]; then
    say "podman: pulling $BASE"
    # It may be known by the digests of other registries, too, to which it was pushed.
    timeout 60 podman rmi --force "$BASE_FULL" >/dev/null 2>&1 </dev/null || true
    logged podman-pull timeout 300 podman pull -q "$BASE_FULL" || die "podman cannot pull $BASE"
    base_in podman || die "podman pulled $BASE, but not the image that is in the registry on $REGISTRY"
  fi
  if ! podman_runs >"$STATE/log/podman-run.log" 2>&1 </dev/null; then
    podman_conf
    logged podman-run podman_runs || die "podman cannot run a container"
  fi
}

# Only for a machine that needs it; see the head of this file.
podman_conf() {
  is_root || die "podman: this needs [engine] runtime = \"runc\" and lower default_ulimits in containers.conf"
  [ ! -e "$CONTAINERS_DROPIN" ] || return 0
  say "podman: writing $CONTAINERS_DROPIN"
  have runc || apt_install runc
  mkdir -p "${CONTAINERS_DROPIN%/*}"
  cat >"$CONTAINERS_DROPIN" <<'CONF'
# Written by stowplan's scripts/engines.sh: this machine needs it to run containers.
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
CONF
}

registries_conf() {
  local address
  cat <<CONF
# Written by stowplan's scripts/engines.sh: its registries speak plain http on
# the loopback; Docker Hub's images are looked for there first.
[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "$REGISTRY"
insecure = true
CONF
  for address in "$REGISTRY" "$AUTH_REGISTRY"; do
    printf '\n[[registry]]\nlocation = "%s"\ninsecure = true\n' "$address" "localhost:${address##*:}"
  done
}

# A bridge that lets through more than the way out does loses large packets, and with them some TLS
# handshakes. Podman takes no such option for its default network: only a file of its own says it.
ensure_podman_mtu() {
  local mtu
  mtu=$(default_mtu || true)
  if [ -z "$mtu" ] || [ "$mtu" -ge 1500 ] || [ -e "$PODMAN_NETWORK" ] || ! is_root; then return 0; fi
  say "podman: writing $PODMAN_NETWORK: an MTU of $mtu, that of the default route"
  mkdir -p "${PODMAN_NETWORK%/*}"
  podman network inspect podman | MTU=$mtu python3 -c '
import json, os, sys
network = json.load(sys.stdin)[0]
network["options"] = {**network.get("options", {}), "mtu": os.environ["MTU"]}
json.dump(network, sys.stdout)' >"$PODMAN_NETWORK.new"
  mv "$PODMAN_NETWORK.new" "$PODMAN_NETWORK"
}
ensure_podman_registries() {
  if [ -e "$REGISTRIES_DROPIN" ] && registries_conf | cmp -s - "$REGISTRIES_DROPIN"; then return 0; fi
  if ! is_root; then
    [ -e "$REGISTRIES_DROPIN" ] || say "podman: $REGISTRIES_DROPIN is missing, so podman may refuse localhost's plain http; as root, write:
$(registries_conf)"
    return 0
  fi
  say "podman: writing $REGISTRIES_DROPIN"
  mkdir -p "${REGISTRIES_DROPIN%/*}"
  registries_conf >"$REGISTRIES_DROPIN"
}

# ---------------------------------------------------------------- commands

lock() {
  local mark=$STATE/.stowplan-engines
  case $STATE in /*) ;; *) die "STOWPLAN_ENGINES_DIR must be an absolute path, not '$STATE'" ;; esac
  if [ ! -e "$mark" ] && [ -n "$(ls -A "$STATE" 2>/dev/null || true)" ]; then
    die "$STATE holds something and is not a state directory of this script: not touching it"
  fi
  mkdir -p "$STATE"/{run,log} 2>/dev/null || true
  if [ ! -w "$STATE/run" ] || [ ! -w "$STATE/log" ]; then
    die "cannot write $STATE: set STOWPLAN_ENGINES_DIR to a folder of yours"
  fi
  : >"$mark"
  exec 9>"$STATE/lock"
  if ! flock -n 9; then
    say "another run is at work; waiting for it"
    flock -w 1800 9 || die "the other run still holds $STATE/lock"
  fi
  trap drop_policy EXIT
}

cmd_up() {
  case $FLAVOUR in current | distro) ;; *) die "STOWPLAN_ENGINES_DOCKER is 'current' or 'distro', not '$FLAVOUR'" ;; esac
  lock
  have curl || { need curl curl && apt_install curl; }
  ensure_registry registry "$REGISTRY" registry_up
  ensure_registry auth-registry "$AUTH_REGISTRY" auth_registry_up
  ensure_docker
  ensure_buildx
  ensure_base
  ensure_podman
  say "up in $SECONDS s"
  cmd_status >&2
}

cmd_down() {
  lock
  stop dockerd
  stop auth-registry
  stop registry
}

cmd_status() {
  local ok=0 digest engines=()
  choose_docker
  if docker_up; then
    if own_pid dockerd >/dev/null; then
      echo "docker: $(docker_version), ours (pid $(own_pid dockerd)), $DOCKER_HOST"
    else
      echo "docker: $(docker_version), was there already"
    fi
  else
    echo "docker: missing: $(have docker && echo 'no engine answers' || echo 'no client on PATH')"
    ok=1
  fi
  if buildx_up; then
    echo "buildx: $(timeout 15 docker buildx version)"
  else
    echo "buildx: missing: 'docker buildx version' does not work"
    ok=1
  fi
  if podman_up; then
    echo "podman: $(podman_version)"
  else
    echo "podman: missing: $(have podman && echo "'podman info' does not work" || echo 'not on PATH')"
    ok=1
  fi
  if registry_up; then
    echo "registry: $REGISTRY, $(registry_version registry)"
  else
    echo "registry: missing: http://$REGISTRY/v2/ does not answer"
    ok=1
  fi
  if auth_registry_up; then
    echo "auth registry: $AUTH_REGISTRY, $(registry_version auth-registry)"
  else
    echo "auth registry: missing: http://$AUTH_REGISTRY/v2/ does not ask $AUTH_USER for a password and take it"
    ok=1
  fi
  if base_in docker; then engines+=(docker); fi
  if base_in podman; then engines+=(podman); fi
  if [ ${#engines[@]} -eq 2 ]; then
    digest=$(registry_base_digest) || digest=$(docker_base_digests | head -n 1)
    echo "base image: $BASE, $digest, in docker and podman"
  else
    echo "base image: missing: $BASE is in ${engines[*]:-no engine}, should be in docker and podman"
    ok=1
  fi
  return "$ok"
}

cmd_env() {
  local digest
  put() { printf 'export %s=%q\n' "$1" "$2"; }
  choose_docker
  if docker_up; then
    if [ -n "${DOCKER_HOST:-}" ]; then put DOCKER_HOST "$DOCKER_HOST"; fi
    put STOWPLAN_TEST_DOCKER "$(docker_version)"
    if buildx_up; then put STOWPLAN_TEST_BUILDX "$(timeout 15 docker buildx version | awk '{ print $2 }')"; fi
  fi
  if podman_up; then put STOWPLAN_TEST_PODMAN "$(podman_version)"; fi
  if registry_up; then put STOWPLAN_TEST_REGISTRY "localhost:${REGISTRY##*:}"; fi
  if auth_registry_up; then
    put STOWPLAN_TEST_AUTH_REGISTRY "localhost:${AUTH_REGISTRY##*:}"
    put STOWPLAN_TEST_AUTH_USER "$AUTH_USER"
    put STOWPLAN_TEST_AUTH_PASSWORD "$AUTH_PASSWORD"
  fi
  if base_in docker || base_in podman; then
    put STOWPLAN_TEST_BASE "$BASE"
    if digest=$(registry_base_digest) || digest=$(docker_base_digests | head -n 1); then
      put STOWPLAN_TEST_BASE_DIGEST "$digest"
    fi
  fi
}

case ${1:-} in
  up | down | status | env)
    [ $# -eq 1 ] || die "'$1' takes no arguments"
    "cmd_$1"
    ;;
  *)
    say "usage: $0 up | down | status | env"
    exit 2
    ;;
esac
