#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Bad input and a host with parts missing: a clear error or a log line, and the rest keeps working.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

works() { # an attack bans, whatever went wrong before
  local address=$1
  fail_in_log 3 "$address"
  eventually 10 banned "$address"
}

testcase_01_an_unknown_jail_is_an_error_by_name() {
  refused call Ban ss nosuch 198.18.5.1
  contains "$(cat "$work/refused")" 'nosuch'
  refused inside busctl call "${BUS[@]}" GetJail s nosuch
  refused inside banishctl ban ssdh 198.18.5.1
  contains "$(cat "$work/refused")" sshd
}

testcase_02_a_bad_address_is_an_error_by_name() {
  local address
  for address in '' nonsense 198.18.5.256 198.18.5.1/8 224.0.0.1 0.0.0.0 '198.18.5.1; drop table'; do
    refused call Ban ss sshd "$address"
  done
  equal "$(property NBans)" 0 "bans"
}

testcase_03_own_addresses_and_loopback_are_refused() {
  refused call Ban ss sshd 203.0.113.1
  refused call Ban ss sshd 127.0.0.1
  refused call Ban ss sshd ::1
  refused call Ban ss sshd 2001:db8::1
}

testcase_04_a_malformed_jail_conf_fails_the_reload_and_changes_nothing() {
  works 198.18.5.4
  configure $'[sshd]\nmaxretry = many\n[broken'
  refused inside systemctl reload banishd.service
  logged 'jail\.local:[0-9]+' || inside journalctl -q -b -u banishd.service -g 'jail.local'
  refused inside banishctl reload
  contains "$(cat "$work/refused")" 'jail\.local:[0-9]+'
  equal "$(jail_property MaxFailures)" 3 MaxFailures
  banned 198.18.5.4
  works 198.18.5.5
}

testcase_05_a_restart_with_it_keeps_the_bans_and_says_so() {
  inside systemctl restart banishd.service
  active
  banned 198.18.5.4
  contains "$(inside banishctl status 2>&1 || true)" 'jail\.local|degraded'
  configure ''
  inside systemctl reload banishd.service
  works 198.18.5.6
}

testcase_06_one_broken_jail_does_not_stop_another() {
  configure $'[other]\nenabled = true\nfilter = nosuchfilter\nport = 80'
  inside systemctl restart banishd.service
  equal "$(jail_property State)" '"active"' "sshd's State"
  contains "$(inside banishctl status 2>&1 || true)" other
  works 198.18.5.7
  configure ''
  inside systemctl restart banishd.service
}

testcase_07_a_corrupt_state_file_is_set_aside() {
  local file
  inside systemctl stop banishd.service
  for file in $(inside sh -c 'ls /var/lib/banishd'); do
    case $file in *-wal | *-shm) inside rm "/var/lib/banishd/$file" ;; esac
  done
  inside sh -c 'for f in /var/lib/banishd/*; do head -c 20000 /dev/urandom >"$f"; done'
  inside systemctl start banishd.service
  active
  works 198.18.5.8
  logged 'corrupt|not a database|set aside|malformed'
}

testcase_08_an_unreadable_state_directory_does_not_stop_the_bans() {
  inside systemctl stop banishd.service
  inside sh -c 'for f in /var/lib/banishd/*; do chown root:root "$f"; chmod 000 "$f"; done'
  inside systemctl start banishd.service
  active
  works 198.18.5.9
  inside sh -c 'chown banishd:banishd /var/lib/banishd/*; chmod 600 /var/lib/banishd/*'
  inside systemctl restart banishd.service
}

testcase_09_a_missing_capability_is_named() {
  drop_in banishd.service $'[Service]\nCapabilityBoundingSet=\nAmbientCapabilities='
  inside systemctl restart --no-block banishd.service
  eventually 15 logged 'CAP_NET_ADMIN'
  no_drop_in banishd.service
  inside systemctl restart banishd.service
  active
  works 198.18.5.10
}

testcase_10_without_login1_bans_go_on() {
  inside systemctl mask --now systemd-logind.service
  inside systemctl restart banishd.service
  active
  works 198.18.5.11
  inside systemctl unmask systemd-logind.service
  inside systemctl start systemd-logind.service
}

testcase_11_without_polkit_root_may_and_others_may_not() {
  inside systemctl mask --now polkit.service
  call Ban ss sshd 198.18.5.12
  refused inside runuser -u tester -- busctl call "${BUS[@]}" Ban ss sshd 198.18.5.13
  not_banned 198.18.5.13
  inside systemctl unmask polkit.service
}

testcase_12_a_restart_of_dbus_is_survived() {
  local old
  old=$(main_pid)
  inside systemctl stop dbus.service dbus.socket
  fail_in_log_without_bus 198.18.5.14
  inside systemctl start dbus.socket dbus.service
  eventually 15 property NBans
  equal "$(main_pid)" "$old" "the daemon's pid"
  eventually 10 banned 198.18.5.14
  works 198.18.5.15
}

# The control group is known without asking the bus.
fail_in_log_without_bus() {
  echo "$1" >"$(root)/run-burst.txt"
  inside sh -c 'echo $$ >/sys/fs/cgroup/system.slice/ssh.service/cgroup.procs
    exec perl - 3 /run-burst.txt' <"$here/burst.pl"
  eventually 10 in_kernel "$1"
}

testcase_13_a_restart_of_journald_is_survived() {
  inside systemctl restart systemd-journald.service
  works 198.18.5.16
  inside journalctl --rotate
  works 198.18.5.17
  inside journalctl --rotate --vacuum-files=1
  works 198.18.5.18
}

run_testcases
