#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A user of the host who is nobody special gets nobody banned and learns no address.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

as_tester() { inside runuser -u tester -- "$@"; }

forge() { # FAILURES-MESSAGE: in every way a user can
  local message=$1
  inside install -m 755 /usr/bin/logger /home/tester/sshd
  for _ in 1 2 3 4; do
    as_tester /home/tester/sshd -t sshd -p auth.info "$message"
    as_tester systemd-cat -t sshd echo "$message"
    as_tester /home/tester/sshd --journald <<END
MESSAGE=$message
SYSLOG_IDENTIFIER=sshd
_SYSTEMD_UNIT=ssh.service
_COMM=sshd
_UID=0
UNIT=ssh.service
END
  done
}

testcase_1_forged_failures_ban_nobody() {
  forge 'Failed password for root from 198.18.66.1 port 4242 ssh2'
  inside journalctl --sync
  equal "$(inside journalctl -q -b -o cat _UID=1000 -g 198.18.66.1 | wc -l)" 12 "forged messages in the journal"
  never 3 banned 198.18.66.1
  # The same message from where it counts does ban.
  fail_in_log 3 198.18.66.2
  eventually 5 banned 198.18.66.2
}

testcase_2_a_user_can_neither_ban_nor_unban_nor_reload() {
  call Ban ss sshd 198.18.66.2
  refused as_tester busctl call "${BUS[@]}" Ban ss sshd 198.18.66.3
  contains "$(cat "$work/refused")" 'denied|[Aa]uthenti|[Aa]uthoriz'
  not_banned 198.18.66.3
  refused as_tester busctl call "${BUS[@]}" Unban ss sshd 198.18.66.2
  refused as_tester busctl call "${BUS[@]}" UnbanAddress s 198.18.66.2
  refused as_tester busctl call "${BUS[@]}" UnbanAll s ''
  banned 198.18.66.2
  refused as_tester busctl call "${BUS[@]}" StopJail s sshd
  refused as_tester busctl call "${BUS[@]}" Reload
  refused as_tester busctl call "${JAIL[@]}" Ban s 198.18.66.3
  refused as_tester busctl call "${JAIL[@]}" Stop
  refused as_tester banishctl unban 198.18.66.2
  contains "$(cat "$work/refused")" 'denied|[Aa]uthenti|[Aa]uthoriz|may not'
  banned 198.18.66.2
}

testcase_3_a_user_learns_no_address_by_asking() {
  refused as_tester busctl call "${BUS[@]}" ListBans ssu '' '' 0
  refused as_tester busctl call "${BUS[@]}" LookupAddress s 198.18.66.2
  refused as_tester busctl call "${BUS[@]}" DumpBansByFileDescriptor s ''
  refused as_tester busctl call "${JAIL[@]}" ListIgnored
  if as_tester busctl call org.banishd.Banish1 /org/banishd/Banish1 org.freedesktop.DBus.Properties \
    GetAll s org.banishd.Banish1.Manager | grep 198.18; then
    fail "an address in a property"
  fi
  refused as_tester sh -c 'ls /var/lib/banishd'
  refused as_tester nft list table inet banishd
}

testcase_4_names_states_and_counts_are_for_all() {
  contains "$(as_tester busctl call "${BUS[@]}" ListJails)" sshd
  contains "$(as_tester busctl get-property "${BUS[@]}" NBans)" 'u [0-9]+'
}

# listen USER ADDRESS: has that user hear what goes over the bus while ADDRESS is banned and unbanned.
listen() {
  local before
  inside runuser -u "$1" -- dbus-monitor --system "sender='org.banishd.Banish1'" >"$work/heard-$1" 2>/dev/null &
  eventually 5 hears_reloads "$1" 1
  call Ban ss sshd "$2"
  call Unban ss sshd "$2"
  # Signals come in order: one that all may hear, after those that they may not.
  before=$(grep -c Reloading "$work/heard-$1" || true)
  eventually 5 hears_reloads "$1" $((before + 2))
  inside pkill -x dbus-monitor
  wait $! || true
}

# hears_reloads USER COUNT: has that user heard so many signals of reloads? Here is one more.
hears_reloads() {
  call Reload
  [ "$(grep -c Reloading "$work/heard-$1")" -ge "$2" ]
}

testcase_5_signals_with_addresses_reach_only_readers_of_the_journal() {
  listen tester 198.18.66.10
  if grep 198.18.66.10 "$work/heard-tester"; then fail "tester heard an address"; return 1; fi
  inside useradd --groups adm reader
  listen reader 198.18.66.11
  contains "$(cat "$work/heard-reader")" BanNew
  contains "$(cat "$work/heard-reader")" 198.18.66.11
}

testcase_6_a_user_cannot_take_the_name_or_the_socket() {
  refused as_tester busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \
    RequestName su org.banishd.Banish1 0
}

run_testcases
