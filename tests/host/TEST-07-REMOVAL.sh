#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Removing the package stops and cleans; the state goes with a purge, what an administrator wrote stays.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

testcase_1_removal_stops_the_service_and_lifts_the_bans() {
  configure $'[sshd]\nbantime = 1h'
  inside systemctl reload banishd.service
  call Ban ss sshd 198.18.7.1
  banned 198.18.7.1
  apt remove banishd
  refused inside nft list table inet banishd
  refused inside pgrep -x banishd
  if inside busctl list --no-legend | grep org.banishd; then fail "the bus name is still there"; fi
  reaches 198.18.7.1
}

testcase_2_nothing_of_the_service_is_left_enabled() {
  local left
  left=$(inside find /etc/systemd /usr/lib/systemd /run/systemd/system -name '*banishd*')
  equal "$left" "" "left behind"
  inside systemctl daemon-reload
  equal "$(inside systemctl --failed --no-legend banishd.service)" "" "failed units"
}

testcase_3_installed_again_it_remembers() {
  apt install --no-install-recommends /var/tmp/banishd.deb
  start_service
  eventually 5 banned 198.18.7.1
  equal "$(jail_property BanUSec)" 3600000000 BanUSec
}

testcase_4_purge_removes_the_state_and_keeps_the_configuration() {
  apt purge banishd
  refused inside test -e /var/lib/banishd
  inside test -e /etc/banishd/jail.local
  refused inside nft list table inet banishd
  left=$(inside sh -c 'find /usr /var/lib -iname "*banish*" | grep -v ^/var/lib/dpkg' || true)
  equal "$left" "" "left behind"
}

run_testcases
