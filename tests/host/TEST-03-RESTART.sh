#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Restart, upgrade and kill -9 under attack: no packet of a banned address gets through at any moment,
# no failure is lost and none counts twice.
#
# The witness is a table of the test's own at the input hook, behind ours: it counts packets of banned
# addresses that came as far as that. A flood of SYNs from all of them runs all the while.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

bans=${BANS:-1000}
crashes=${CRASHES:-10}

before_testcases() {
  install_package
  drop_in ssh.service $'[Service]\nLogRateLimitIntervalSec=0'
  configure $'[sshd]\nbantime = 1h\nfindtime = 1h'
  start_service
  addresses "$bans" >"$work/addresses"
}

# Sets the table up afresh, with the addresses to watch for.
witness() {
  {
    cat <<'END'
table inet witness
delete table inet witness
table inet witness {
  counter through { }
  set banned {
    type ipv4_addr
    elements = {
END
    paste -sd, "$work/addresses"
    cat <<'END'
    }
  }
  chain input {
    type filter hook input priority 100;
    ip saddr @banned tcp dport 22 counter name through
  }
}
END
  } >"$(root)/run-witness.nft"
  inside nft -f /run-witness.nft
}

came_through() { inside nft list counter inet witness through | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }

flood() { HOST_TIMEOUT=300 attacker perl "$here/flood.pl" "$1" "${2:-2000}" "$work/addresses"; }

all_banned() { [ "$(property NBans)" -ge "$bans" ]; }

testcase_1_the_witness_sees_what_nobody_stops() {
  witness
  flood 2
  [ "$(came_through)" -gt 100 ] || fail "the witness saw $(came_through) packets"
}

testcase_2_a_burst_bans_them_all() {
  mapfile -t all <"$work/addresses"
  fail_in_log 3 "${all[@]}"
  eventually 30 all_banned
  witness
  flood 2
  equal "$(came_through)" 0 "packets that came through"
}

testcase_3_a_restart_lets_nothing_through() {
  local flood old new
  witness
  flood 8 >"$work/sent" &
  flood=$!
  sleep 1
  for _ in 1 2 3; do
    old=$(main_pid)
    inside systemctl restart banishd.service
    new=$(main_pid)
    [ "$old" != "$new" ] || fail "did not restart"
    all_banned || fail "$(property NBans) bans after a restart"
  done
  wait $flood
  equal "$(came_through)" 0 "of $(cat "$work/sent") packets came through"
}

testcase_4_an_upgrade_lets_nothing_through() {
  local flood old package
  package=$(package 99.0)
  witness
  flood 12 >"$work/sent" &
  flood=$!
  sleep 1
  old=$(main_pid)
  apt install --no-install-recommends "$package"
  active
  [ "$old" != "$(main_pid)" ] || fail "the old daemon runs on"
  equal "$(inside dpkg-query -W -f '${Version}' banishd)" 99.0 version
  all_banned
  wait $flood
  equal "$(came_through)" 0 "of $(cat "$work/sent") packets came through"
}

# While the daemon is killed again and again, addresses fail in every round: one group once in three
# rounds each, another in two, and fresh ones three times in each other round. In the end every failure
# was counted once, whoever failed three times is banned and whoever failed twice is not.
testcase_5_kill_9_under_attack_loses_nothing_and_doubles_nothing() {
  local flood old round pause before address three two fresh expected=250
  local -a banned
  mapfile -t three < <(addresses 50 19)
  mapfile -t two < <(seq -f '198.19.100.%g' 1 50)
  before=$(failures)
  witness
  flood $((crashes * 3 / 2 + 6)) >"$work/sent" &
  flood=$!
  for ((round = 1; round <= crashes; round++)); do
    old=$(main_pid)
    case $round in
    2 | 4 | 6) fail_in_log 1 "${three[@]}" >/dev/null & ;;
    3 | 5) fail_in_log 1 "${two[@]}" >/dev/null & ;;
    *)
      mapfile -t fresh < <(seq -f "198.19.$((100 + round)).%g" 1 20)
      fail_in_log 3 "${fresh[@]}" >/dev/null &
      banned+=("${fresh[@]}")
      expected=$((expected + 60))
      ;;
    esac
    pause=$((RANDOM % 700))
    sleep "0.$(printf '%03d' $pause)"
    inside systemctl kill --signal=KILL --kill-who=main banishd.service || true
    eventually 10 restarted "$old"
  done
  wait
  eventually 20 are_banned "${three[@]}" "${banned[@]}"
  equal "$(($(failures) - before))" "$expected" "failures counted"
  for address in "${two[@]}"; do
    not_listed "$address" || fail "$address was banned for two failures"
  done
  # Their third failure, to show that the first two were not forgotten.
  fail_in_log 1 "${two[@]}" >/dev/null
  eventually 20 are_banned "${two[@]}"
  all_banned
  equal "$(came_through)" 0 "of $(cat "$work/sent") packets came through"
}

failures() { jail_property NFailuresTotal; }

restarted() {
  local now
  now=$(main_pid)
  [ "$now" != 0 ] && [ "$now" != "$1" ] && active
}

are_banned() {
  local address dump
  dump=$(inside nft list set inet banishd any4)
  for address in "$@"; do
    grep -qwF "$address" <<<"$dump" || { echo "not banned: $address"; return 1; }
  done
}

testcase_6_a_stop_lifts_the_bans_and_a_start_restores_them() {
  inside systemctl stop banishd.service
  refused inside nft list table inet banishd
  witness
  flood 1
  [ "$(came_through)" -gt 0 ] || fail "still blocked after a stop"
  inside systemctl start banishd.service
  all_banned
  witness
  flood 2
  equal "$(came_through)" 0 "packets that came through"
}

testcase_7_flush_ruleset_does_not_lift_bans() {
  inside nft flush ruleset
  in_kernel 198.18.0.1
}

run_testcases
