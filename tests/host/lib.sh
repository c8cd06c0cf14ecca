# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
# What every test on the disposable host needs. A test sources this, defines functions named
# testcase_* and ends with `run_testcases`. All of them share one freshly booted host in which the
# package is installed and the service enabled; each prints one line, `ok` or `not ok`.
#
# From outside: SUITE (bookworm), DEB (the package), HOST (the host's name).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
SUITE=${SUITE:-bookworm}
DEB=${DEB:-$(find "$top/target/debian" -maxdepth 1 -name 'banishd_*.deb' 2>/dev/null | sort -V | tail -n 1)}
HOST=${HOST:-$(printf 'b%05x' $((RANDOM * 32 + $$ % 32)))}
export HOST HOST_OWNER=$$
BUS=(org.banishd.Banish1 /org/banishd/Banish1 org.banishd.Banish1.Manager)
JAIL=(org.banishd.Banish1 /org/banishd/Banish1/jail/sshd org.banishd.Banish1.Jail)
work=$(mktemp -d)

host() { "$here/host" "$@"; }
inside() { host in "$@"; }
attacker() { host from "$@"; }

fail() { echo "$*" >&2; return 1; }

# eventually SECONDS CMD...: CMD succeeds within the time, and on a busy machine within ten times that.
eventually() {
  local seconds=$(($1 * 10)) end
  shift
  end=$((SECONDS + seconds))
  until "$@" >"$work/eventually" 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      cat "$work/eventually" >&2
      fail "not within $seconds s: $*"
      return 1
    fi
    sleep 0.1
  done
}

# never SECONDS CMD...: CMD fails all the time.
never() {
  local end=$((SECONDS + $1))
  shift
  while [ "$SECONDS" -lt "$end" ]; do
    if "$@" >/dev/null 2>&1; then fail "did happen: $*"; return 1; fi
    sleep 0.2
  done
}

refused() {
  if "$@" >"$work/refused" 2>&1; then fail "should have failed: $*"; return 1; fi
}

contains() { # TEXT PATTERN
  grep -qE -e "$2" <<<"$1" || fail "expected '$2' in: $1"
}

equal() { # ACTUAL EXPECTED WHAT
  [ "$1" = "$2" ] || fail "$3: '$1' instead of '$2'"
}

# --- SSH as an attacker does it -------------------------------------------------------------------

# exec_ssh FROM OPTION...: becomes an ssh that logs in from that address with the password $PASSWORD
# and runs $REMOTE. SSH_ASKPASS answers every prompt, so one connection can try several passwords.
exec_ssh() {
  local from=$1
  shift
  printf '#!/bin/sh\necho "$PASSWORD"\n' >"$work/askpass-$BASHPID"
  chmod +x "$work/askpass-$BASHPID"
  export PASSWORD=${PASSWORD:-wrong} SSH_ASKPASS=$work/askpass-$BASHPID SSH_ASKPASS_REQUIRE=force
  exec "$here/host" from ssh -F none -o BindAddress="$from" -o StrictHostKeyChecking=no \
    -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o PubkeyAuthentication=no -o ConnectTimeout=30 \
    -o ConnectionAttempts=1 "$@" "$(target_of "$from")" "${REMOTE:-true}" </dev/null
}

# guess FROM TRIES [METHOD [USER]]: becomes an ssh with that many wrong passwords on one connection.
guess() {
  PASSWORD=wrong exec_ssh "$1" -l "${4:-root}" -o PreferredAuthentications="${3:-password}" \
    -o NumberOfPasswordPrompts="$2"
}

# wrong FROM ...: the same to its end. Once the address is banned no answer reaches ssh, which would
# wait for one as long as sshd lets it; so that ends it as well.
wrong() {
  local ssh status=0
  (guess "$@") >"$work/ssh-$1" 2>&1 &
  ssh=$!
  while kill -0 $ssh 2>/dev/null; do
    sleep 0.3
    if in_kernel "$1" >/dev/null 2>&1; then
      sleep 0.3
      kill $ssh 2>/dev/null || true
    fi
  done
  wait $ssh || status=$?
  [ $status -ne 0 ] || fail "a wrong password was accepted"
}

# log_in FROM [USER]: the right password.
log_in() {
  (PASSWORD=right exec_ssh "$1" -l "${2:-tester}" -o PreferredAuthentications=password \
    -o NumberOfPasswordPrompts=1)
}

target_of() { case $1 in *:*) echo 2001:db8::1 ;; *) echo 203.0.113.1 ;; esac; }

# Does port 22 of the host answer that address?
reaches() {
  "$here/host" from perl "$here/knock.pl" "$1" "$(target_of "$1")" 22 >/dev/null 2>&1
}

# --- What banishd says, and what the kernel says --------------------------------------------------

property() { inside busctl get-property "${BUS[@]}" "$1" | cut -d' ' -f2-; }
jail_property() { inside busctl get-property "${JAIL[@]}" "$1" | cut -d' ' -f2-; }
call() { inside busctl call "${BUS[@]}" "$@"; }

listed() { inside busctl call "${BUS[@]}" LookupAddress s "$1" | grep -qF "\"$1\""; }
not_listed() { ! listed "$1"; }

# Is the address in the kernel's union set?
in_kernel() {
  local set=any4
  case $1 in *:*) set=any6 ;; esac
  inside nft get element inet banishd "$set" "{ $1 }"
}
not_in_kernel() { inside nft list table inet banishd >/dev/null && ! in_kernel "$1" >/dev/null 2>&1; }

banned() { listed "$1" && in_kernel "$1" >/dev/null 2>&1; }
not_banned() { not_listed "$1" && not_in_kernel "$1"; }

active() { [ "$(inside systemctl is-active banishd.service)" = active ]; }
main_pid() { inside systemctl show -P MainPID banishd.service; }

# logged PATTERN: has banishd logged it?
logged() { inside journalctl --quiet --no-pager -b -u banishd.service -o cat --grep "$1" >/dev/null; }

# fail_in_log FAILURES ADDRESS...: sshd's own message for a wrong password, logged by root in
# ssh.service, so many times for each address: what thousands of attackers would make sshd log.
fail_in_log() {
  local failures=$1 list=/run-burst-$BASHPID.txt
  shift
  printf '%s\n' "$@" >"$(root)$list"
  host within ssh.service perl - "$failures" "$list" <"$here/burst.pl"
}

root() { host root; }

# addresses COUNT [SECOND-OCTET]: that many of 198.18.0.0/15.
addresses() {
  local i
  for ((i = 0; i < $1; i++)); do
    echo "198.${2:-18}.$((i / 250)).$((i % 250 + 1))"
  done
}

# configure TEXT: /etc/banishd/jail.local; empty removes it.
configure() {
  if [ -n "$1" ]; then
    mkdir -p "$(root)/etc/banishd"
    printf '%s\n' "$1" >"$(root)/etc/banishd/jail.local"
  else
    rm -f "$(root)/etc/banishd/jail.local"
  fi
}

# drop_in UNIT TEXT
drop_in() {
  mkdir -p "$(root)/etc/systemd/system/$1.d"
  printf '%s\n' "$2" >"$(root)/etc/systemd/system/$1.d/test.conf"
  inside systemctl daemon-reload
}
no_drop_in() {
  rm -rf "$(root)/etc/systemd/system/$1.d"
  inside systemctl daemon-reload
}

# package VERSION: the package under test with another version number.
package() {
  local tree=$work/package-$1
  dpkg-deb -R "$DEB" "$tree"
  sed -i "s/^Version: .*/Version: $1/" "$tree/DEBIAN/control"
  dpkg-deb --root-owner-group -Zgzip -b "$tree" "$(root)/var/tmp/banishd-$1.deb" >/dev/null
  echo "/var/tmp/banishd-$1.deb"
}

apt() { inside env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@"; }

install_package() {
  cp "$DEB" "$(root)/var/tmp/banishd.deb"
  apt install --no-install-recommends /var/tmp/banishd.deb
}

start_service() {
  inside systemctl enable --quiet --now banishd.service
  eventually 10 active
}

# --- Running --------------------------------------------------------------------------------------

# With KEEP=1 the host stays up for a look around.
put_away() {
  rm -rf "$work"
  if [ -n "${KEEP:-}" ]; then
    echo "# kept; HOST=$HOST $here/host in CMD..., and at last: HOST=$HOST $here/host down"
  else
    host down || true
  fi
}

finish() {
  local status=$?
  # Whoever reads this line knows that no test was left out.
  [ "$status" -eq 0 ] || echo "not ok - $SUITE $test: ended with status $status"
  put_away
  exit "$status"
}

explain() {
  {
    echo "--- systemctl status banishd"
    inside systemctl --no-pager --full --lines=0 status banishd.service || true
    echo "--- journal"
    inside journalctl --no-pager -b -o short-precise -n 60 -u banishd.service -u ssh.service -u dbus.service || true
  } 2>&1 | sed 's/^/# /'
}

# before_testcases may be redefined by a test that wants something else than a running service.
before_testcases() {
  install_package >"$work/install" 2>&1 || { cat "$work/install" >&2; return 1; }
  start_service
}

run_testcases() {
  test=$(basename "$0" .sh)
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  [ -f "$DEB" ] || { fail "no package to test: run 'make deb'"; exit 1; }
  host up "$SUITE"
  local case status begin failed=0
  set +e
  (set -e; before_testcases) >"$work/log" 2>&1
  status=$?
  set -e
  if [ $status -ne 0 ]; then
    sed 's/^/# /' "$work/log"
    explain
    echo "not ok - $SUITE $test: before_testcases"
    failed=1
  else
    for case in $(declare -F | sed -n 's/^declare -f \(testcase_\)/\1/p'); do
      [ -z "${CASE:-}" ] || [[ $case == *$CASE* ]] || continue
      begin=$SECONDS
      # Not in a condition: there bash would ignore `set -e`.
      set +e
      (set -e; "$case") >"$work/log" 2>&1
      status=$?
      set -e
      if [ $status -eq 0 ]; then
        echo "ok - $SUITE $test: ${case#testcase_} ($((SECONDS - begin)) s)"
      else
        sed 's/^/# /' "$work/log"
        explain
        echo "not ok - $SUITE $test: ${case#testcase_}"
        failed=$((failed + 1))
      fi
    done
  fi
  trap - EXIT
  put_away
  [ "$failed" -eq 0 ] || exit 1
}
