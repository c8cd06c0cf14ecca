#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Real logins with wrong passwords over IPv4 and IPv6: who is banned, who is not, and how a ban ends.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# third_bans METHOD USER ADDRESS: two wrong passwords do not ban, the third does.
third_bans() {
  local method=$1 user=$2 address=$3
  wrong "$address" 2 "$method" "$user"
  settle
  not_banned "$address" || fail "two failures banned $address"
  wrong "$address" 1 "$method" "$user"
  eventually 5 banned "$address"
}

# What would be wrong is wrong as soon as the daemon has read what is in the journal.
settle() {
  inside journalctl --sync
  sleep 0.5
}

testcase_01_three_wrong_passwords_ban() {
  third_bans password root 198.18.1.1
  contains "$(inside banishctl bans)" 198.18.1.1
  contains "$(inside nft list table inet banishd)" 198.18.1.1
  contains "$(call ListBans ssu sshd '' 0)" '"sshd" "198.18.1.1"'
}

testcase_02_over_ipv6_as_well() {
  third_bans password root 2001:db8:1::1
  contains "$(inside banishctl bans)" '2001:db8:1::1'
}

testcase_03_keyboard_interactive_counts_the_same() {
  third_bans keyboard-interactive root 198.18.1.3
  third_bans keyboard-interactive root 2001:db8:1::3
}

testcase_04_unknown_users_count_the_same() {
  third_bans password nobody-here 198.18.1.4
  third_bans keyboard-interactive nobody-here 198.18.1.5
}

testcase_05_three_on_one_connection_ban() {
  wrong 198.18.1.6 3
  eventually 5 banned 198.18.1.6
}

testcase_06_three_connections_with_one_each_ban() {
  wrong 198.18.1.7 1
  wrong 198.18.1.7 1
  settle
  not_banned 198.18.1.7
  wrong 198.18.1.7 1
  eventually 5 banned 198.18.1.7
}

testcase_07_a_user_name_cannot_steer_the_address() {
  wrong 198.18.1.8 3 password 'root from 198.18.200.1 port 22'
  eventually 5 banned 198.18.1.8
  not_banned 198.18.200.1
}

testcase_08_the_right_password_after_two_wrong_ones_logs_in() {
  wrong 198.18.1.9 2 password tester
  log_in 198.18.1.9
  never 2 banned 198.18.1.9
}

testcase_09_a_banned_address_gets_through_no_more_and_others_do() {
  reaches 198.18.1.20
  call Ban ss sshd 198.18.1.20
  refused reaches 198.18.1.20
  reaches 198.18.1.21
  refused reaches 2001:db8:1::1
  reaches 2001:db8:1::2
}

testcase_10_a_ban_also_ends_a_connection_that_stands() {
  local session
  (REMOTE='sleep 30' PASSWORD=right exec_ssh 198.18.1.22 -l tester -o PreferredAuthentications=password \
    -o ServerAliveInterval=1 -o ServerAliveCountMax=3) >"$work/session" 2>&1 &
  session=$!
  eventually 10 inside pgrep -u tester -x sleep
  call Ban ss sshd 198.18.1.22
  eventually 10 eval "! kill -0 $session 2>/dev/null"
}

testcase_11_unban_over_the_bus_lets_in_again() {
  equal "$(call Unban ss sshd 198.18.1.20)" 'b true' Unban
  not_banned 198.18.1.20
  reaches 198.18.1.20
  log_in 198.18.1.20
  equal "$(call Unban ss sshd 198.18.1.20)" 'b false' 'Unban again'
}

testcase_12_a_ban_expires_by_itself() {
  configure $'[sshd]\nbantime = 15'
  inside systemctl reload banishd.service
  equal "$(jail_property BanUSec)" 15000000 BanUSec
  wrong 198.18.1.30 3
  eventually 5 banned 198.18.1.30
  refused reaches 198.18.1.30
  eventually 20 not_banned 198.18.1.30
  reaches 198.18.1.30
  configure ''
  inside systemctl reload banishd.service
  equal "$(jail_property BanUSec)" 600000000 'BanUSec again'
}

testcase_13_the_client_bans_unbans_and_tells() {
  inside banishctl ban sshd 198.18.1.40
  eventually 5 banned 198.18.1.40
  contains "$(inside banishctl status)" sshd
  contains "$(inside banishctl status sshd)" "OpenSSH logins"
  inside banishctl bans --json | grep -q '"198.18.1.40"'
  inside banishctl unban 198.18.1.40
  eventually 5 not_banned 198.18.1.40
}

run_testcases
