#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A jail on a log file: bans, logrotate in both its ways, a restart, a file that the service may not read.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

log=/var/log/door.log
DOOR=(org.banishd.Banish1 /org/banishd/Banish1/jail/door org.banishd.Banish1.Jail)

before_testcases() {
  install_package
  mkdir -p "$(root)/etc/banishd/filter.d"
  cat >"$(root)/etc/banishd/filter.d/door.conf" <<'END'
[Definition]
failregex = door\[\d+\]: wrong key from <ADDR>$
END
  configure $'[door]\nenabled = true\nfilter = door\nport = all\nmaxretry = 3\nlogpath = /var/log/door*.log'
  make_log 640 $log
  start_service
}

# make_log MODE FILE: as logrotate's `create MODE root adm` does.
make_log() { inside install -m "$1" -o root -g adm /dev/null "$2"; }

# knock TIMES ADDRESS [FILE]: a service of root's writes to the log.
knock() {
  # shellcheck disable=SC2016
  inside sh -c 'for i in $(seq "$1"); do
      echo "$(date "+%b %e %T") host door[7]: wrong key from $2" >>"$3"
    done' sh "$1" "$2" "${3:-$log}"
}

door_failures() {
  [ "$(inside busctl get-property "${DOOR[@]}" NFailuresTotal | cut -d' ' -f2)" = "$1" ]
}
door_problem() { inside busctl get-property "${DOOR[@]}" Problem; }

testcase_1_lines_in_a_file_ban() {
  knock 3 198.18.9.1
  eventually 5 banned 198.18.9.1
  door_failures 3
}

testcase_2_nothing_is_lost_or_doubled_when_logrotate_makes_a_new_file() {
  knock 2 198.18.9.2
  inside sh -c "mv $log $log.1"
  # The service does not know yet.
  knock 1 198.18.9.3 $log.1
  make_log 640 $log
  knock 1 198.18.9.2
  eventually 5 banned 198.18.9.2
  eventually 5 door_failures 7
  never 2 door_failures 8
}

testcase_3_nothing_is_lost_or_doubled_when_logrotate_copies_and_truncates() {
  knock 2 198.18.9.4
  inside sh -c "mv $log.1 $log.2; cp -p $log $log.1; : >$log"
  knock 1 198.18.9.4
  eventually 5 banned 198.18.9.4
  eventually 5 door_failures 10
  never 2 door_failures 11
}

testcase_4_a_restart_goes_on_where_the_last_one_stopped() {
  knock 1 198.18.9.5
  eventually 5 door_failures 11
  inside systemctl stop banishd.service
  knock 1 198.18.9.5
  inside sh -c "mv $log.1 $log.3; mv $log $log.1"
  make_log 640 $log
  knock 1 198.18.9.5
  inside systemctl start banishd.service
  eventually 10 banned 198.18.9.5
  eventually 5 door_failures 13
  never 2 door_failures 14
}

testcase_5_a_file_that_comes_later_is_read() {
  knock 3 198.18.9.6 /var/log/door-2.log
  inside chgrp adm /var/log/door-2.log
  inside chmod 640 /var/log/door-2.log
  eventually 5 banned 198.18.9.6
}

testcase_6_a_file_that_may_not_be_read_is_told_with_what_mends_it() {
  local problem
  make_log 600 /var/log/door-3.log
  eventually 5 logged "chgrp adm '/var/log/door-3.log' && chmod g.r '/var/log/door-3.log'"
  problem=$(door_problem)
  contains "$problem" door-3
  knock 3 198.18.9.7 /var/log/door-3.log
  never 2 banned 198.18.9.7
  inside chmod g+r /var/log/door-3.log
  eventually 5 banned 198.18.9.7
  equal "$(door_problem)" 's ""' "the jail's Problem"
}

run_testcases
