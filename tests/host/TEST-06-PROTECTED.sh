#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Who is never banned: the administrator from under a live login, and what ignoreip names.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# hold FROM USER: a login that stays until it is released.
hold() {
  (REMOTE='sleep 60' PASSWORD=right exec_ssh "$1" -l "$2" -o PreferredAuthentications=password) \
    >"$work/hold" 2>&1 &
  echo $! >"$work/session"
  eventually 10 has_session "$2"
}
# Since systemd 256 the user's own manager counts as a session too, and stays for a while.
has_session() { inside loginctl list-sessions --no-legend | grep -v manager | grep -qw "$1"; }
no_session() { ! has_session "$1"; }
release() {
  inside loginctl terminate-user "$1" || true
  kill "$(cat "$work/session")" 2>/dev/null || true
  eventually 30 no_session "$1"
}

testcase_1_an_administrator_with_a_live_login_is_spared() {
  hold 198.18.6.1 admin
  wrong 198.18.6.1 3
  wrong 198.18.6.1 2
  never 3 banned 198.18.6.1
  log_in 198.18.6.1
  eventually 5 logged '198.18.6.1 is not banned'
}

testcase_2_a_ban_by_hand_of_that_address_is_refused() {
  refused call Ban ss sshd 198.18.6.1
  not_banned 198.18.6.1
}

testcase_3_once_the_login_ended_the_address_is_like_any_other() {
  release admin
  wrong 198.18.6.1 3
  eventually 5 banned 198.18.6.1
  call UnbanAddress s 198.18.6.1
}

testcase_4_the_login_of_a_user_without_privileges_does_not_protect() {
  hold 198.18.6.2 tester
  wrong 198.18.6.2 3
  eventually 5 banned 198.18.6.2
  release tester
}

testcase_5_over_ipv6_as_well() {
  hold 2001:db8:1::6 admin
  wrong 2001:db8:1::6 3
  never 3 banned 2001:db8:1::6
  release admin
}

testcase_6_ignoreip_is_never_banned_by_a_jail() {
  configure $'[sshd]\nignoreip = 198.18.7.0/24 2001:db8:1::7'
  inside systemctl reload banishd.service
  contains "$(inside busctl call "${JAIL[@]}" ListIgnored)" '198.18.7.0/24'
  fail_in_log 4 198.18.7.1 2001:db8:1::7 198.18.8.1
  eventually 5 banned 198.18.8.1
  not_banned 198.18.7.1
  not_banned 2001:db8:1::7
}

testcase_7_the_host_itself_is_never_banned() {
  fail_in_log 5 203.0.113.1 127.0.0.1 2001:db8::1 ::1 198.18.8.2
  eventually 5 banned 198.18.8.2
  not_banned 203.0.113.1
  not_banned 127.0.0.1
  not_banned 2001:db8::1
}

run_testcases
