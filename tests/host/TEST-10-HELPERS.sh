#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# What the daemon may not do itself: a command is asked as root before a ban, and a name in a log line
# is looked up, each by a program behind a socket.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

etc() { echo "$(root)/etc/banishd"; }

log_line() { inside logger -t door -- "$1"; }

before_testcases() {
  install_package >"$work/install" 2>&1 || { cat "$work/install" >&2; return 1; }
  mkdir -p "$(etc)/filter.d"
  cat >"$(etc)/filter.d/door.conf" <<'END'
[Definition]
matchtext = message
journalmatch = _UID=0 SYSLOG_IDENTIFIER=door
failregex = ^knock from <HOST>$
END
  cat >"$(root)/usr/local/bin/friend" <<'END'
#!/bin/sh
# Spares one address, and notes who asks.
echo "$(id -un) $1" >>/run/friend.asked
sleep 1234.5 &
[ "$1" = 198.18.10.1 ]
END
  chmod 755 "$(root)/usr/local/bin/friend"
  configure $'[door]\nenabled = true\nfilter = door\nport = all\nmaxretry = 2\nusedns = yes\nignorecommand = /usr/local/bin/friend <ip>\n'
  printf '198.18.10.3 mallory.example\n2001:db8:1::3 mallory.example\n198.18.10.6 eve.example\n' >>"$(root)/etc/hosts"
  start_service
}

testcase_1_the_sockets_come_with_the_service() {
  local name
  for name in action resolve; do
    equal "$(inside systemctl is-active "banishd-$name.socket")" active "banishd-$name.socket"
    equal "$(inside stat -c %U:%a "/run/banishd-$name.socket")" banishd:600 "its socket"
  done
}

testcase_2_the_units_verify_and_names_are_hardly_exposed() {
  local said exposure
  said=$(inside systemd-analyze verify --man=no banishd-action.socket banishd-resolve.socket 2>&1)
  if grep -i banishd <<<"$said"; then fail "systemd-analyze verify complains"; return 1; fi
  exposure=$(inside systemd-analyze security --no-pager banishd-resolve@x.service |
    sed -n 's/.*Overall exposure level.*: \([0-9.]*\).*/\1/p')
  echo "exposure $exposure"
  awk -v e="$exposure" 'BEGIN { exit !(e > 0 && e <= 1.5) }' || fail "exposure $exposure"
}

testcase_3_ignorecommand_spares_and_asks_as_root() {
  log_line 'knock from 198.18.10.1'
  log_line 'knock from 198.18.10.1'
  log_line 'knock from 198.18.10.2'
  log_line 'knock from 198.18.10.2'
  eventually 10 banned 198.18.10.2
  not_banned 198.18.10.1 || fail "the friend is banned"
  contains "$(cat "$(root)/run/friend.asked")" 'root 198.18.10.1'
  reaches 198.18.10.1
  # What it left behind ends with its unit.
  eventually 5 nothing_left
}

nothing_left() { ! inside pgrep -f 'sleep 1234.5' >/dev/null; }

testcase_4_a_name_in_a_log_line_is_looked_up() {
  log_line 'knock from mallory.example'
  log_line 'knock from mallory.example'
  eventually 10 banned 198.18.10.3
  eventually 10 banned 2001:db8:1::3
}

testcase_5_nobody_else_may_ask() {
  refused inside runuser -u tester -- perl -MIO::Socket::UNIX -e \
    'IO::Socket::UNIX->new("/run/banishd-action.socket") or die'
}

testcase_6_a_file_that_others_may_write_has_no_commands() {
  chmod 666 "$(etc)/jail.local"
  log_line 'knock from 198.18.10.4'
  log_line 'knock from 198.18.10.4'
  eventually 10 troubled 'others than root may write'
  chmod 644 "$(etc)/jail.local"
  log_line 'knock from 198.18.10.5'
  log_line 'knock from 198.18.10.5'
  eventually 10 banned 198.18.10.5
  equal "$(property State)" '"running"' State
}

running() { [ "$(property State)" = '"running"' ]; }

troubled() { property Troubles | grep -q "$1"; }

testcase_7_without_the_sockets_the_daemon_runs_and_says_what_to_start() {
  inside systemctl stop banishd-resolve.socket
  log_line 'knock from nobody.example'
  eventually 10 troubled 'systemctl start banishd-resolve.socket'
  inside systemctl start banishd-resolve.socket
  log_line 'knock from eve.example'
  eventually 10 running
}

testcase_8_they_stop_with_the_service_and_leave_nothing() {
  inside systemctl stop banishd.service
  refused inside systemctl is-active banishd-action.socket
  refused inside test -e /run/banishd-action.socket
  refused inside test -e /run/banishd-resolve.socket
  equal "$(inside systemctl --failed --no-legend 'banishd*')" "" "failed units"
}

run_testcases
