#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The package on a fresh host: what it brings, what it leaves alone, that nothing needs configuring.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

before_testcases() { install_package; }

testcase_1_the_package_does_not_enable_the_service() {
  equal "$(inside systemctl is-enabled banishd.service || true)" disabled "the service is"
  equal "$(inside systemctl is-active banishd.service || true)" inactive "the service is"
}

testcase_2_the_user_is_there_and_may_read_the_journal() {
  local groups
  groups=$(inside id -nG banishd)
  contains "$groups" systemd-journal
  contains "$groups" adm
}

testcase_3_a_call_to_the_service_that_is_not_enabled_says_so() {
  refused inside banishctl status
  contains "$(cat "$work/refused")" 'not enabled'
}

testcase_4_enabled_the_sshd_jail_works_with_no_configuration() {
  equal "$(inside find /etc/banishd -type f)" "" "configuration"

  start_service

  equal "$(property State)" '"running"' State
  equal "$(jail_property State)" '"active"' "the jail's State"
  contains "$(call ListJails)" '"sshd" "active"'
  equal "$(inside systemctl show -P User banishd.service)" banishd "the service's user"
  equal "$(inside stat -c %U:%a /var/lib/banishd)" banishd:700 "state directory"
}

testcase_5_the_unit_verifies_without_a_complaint() {
  local said
  said=$(inside systemd-analyze verify --man=no banishd.service 2>&1)
  if grep -i banishd <<<"$said"; then fail "systemd-analyze verify complains"; return 1; fi
}

testcase_6_no_ordering_cycle_beside_cloud_init_and_ifupdown() {
  local said
  said=$(inside systemd-analyze verify --man=no multi-user.target cloud-init.target networking.service 2>&1)
  if grep -iE 'cycle|banishd' <<<"$said"; then fail "ordering cycle"; return 1; fi
}

testcase_7_exposure_is_at_most_1_5() {
  local exposure
  exposure=$(inside systemd-analyze security --no-pager banishd.service |
    sed -n 's/.*Overall exposure level for banishd.service: \([0-9.]*\).*/\1/p')
  echo "exposure $exposure"
  [ -n "$exposure" ]
  awk -v e="$exposure" 'BEGIN { exit !(e <= 1.5) }' || fail "exposure $exposure"
}

testcase_8_the_man_pages_and_interfaces_are_there() {
  local page
  for page in man8/banishd.8.gz man8/banishd.service.8.gz man1/banishctl.1.gz man5/banishd.conf.5.gz; do
    inside test -s "/usr/share/man/$page" || fail "no $page"
  done
  contains "$(inside busctl introspect org.banishd.Banish1 /org/banishd/Banish1)" 'ListBans +method'
}

testcase_9_a_boot_with_the_service_enabled_finds_it_running_before_sshd() {
  local after
  after=$(inside systemctl show -P After ssh.service)
  contains "$after" banishd.service
}

run_testcases
