#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# bench-burst.sh [COUNT]: COUNT (10000) addresses fail three times each in one burst that root sends
# into ssh.service's control group, without journald's rate limit: when are all of them in the kernel's
# set, how much processor time and memory did it take. Then the same burst with the default limit:
# what was lost, and what banishd says of it. With PEER=1 also fail2ban on the same host.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

count=${1:-10000}
export HOST_DISK=1 HOST_TIMEOUT=600
[ -z "${PEER:-}" ] || export HOST_PACKAGES=fail2ban,python3-systemd

cpu() { # UNIT: processor time in ms
  echo $(($(inside systemctl show -P CPUUsageNSec "$1") / 1000000))
}
rss() { inside awk '/^VmRSS/ { print $2 }' "/proc/$(inside systemctl show -P MainPID "$1")/status"; }
in_set() { # TABLE SET
  inside nft list set inet "$1" "$2" 2>/dev/null | grep -oE '198\.1[89]\.[0-9.]+' | wc -l
}
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# measure NAME UNIT COUNT-COMMAND...
measure() {
  local name=$1 unit=$2 last cpu_before rss_before done_at limit=$((SECONDS + 300))
  shift 2
  cpu_before=$(cpu "$unit") rss_before=$(rss "$unit")
  fail_in_log 3 "${all[@]}" >"$work/last" &
  while [ "$("$@")" -lt "$count" ]; do
    [ "$SECONDS" -lt "$limit" ] || break
    sleep 0.05
  done
  done_at=$(now_ms)
  wait
  last=$(cat "$work/last")
  echo "$name: $("$@") of $count in force $((done_at - last / 1000)) ms after the last entry" \
    "(seen by asking every 50 ms), $(($(cpu "$unit") - cpu_before)) ms of processor time," \
    "$rss_before to $(rss "$unit") KiB resident"
}

banishd_bans() { property NBans; }
fail2ban_bans() { in_set f2b-table addr-set-sshd; }

trap finish EXIT
test=bench-burst
host up "$SUITE"
[ -z "${PEER:-}" ] || inside systemctl disable --now fail2ban.service >/dev/null 2>&1
install_package >"$work/log" 2>&1
drop_in ssh.service $'[Service]\nLogRateLimitIntervalSec=0'
drop_in banishd.service $'[Service]\nCPUAccounting=yes'
configure $'[sshd]\nbantime = 1h'
start_service
mapfile -t all < <(addresses "$count")
measure banishd banishd.service banishd_bans
echo "banishd: $(in_set banishd any4) in the kernel's set"

inside banishctl unban --all >/dev/null 2>&1 || call UnbanAll s '' >/dev/null
no_drop_in ssh.service
inside systemctl restart ssh.service
mapfile -t all < <(addresses "$count" 19)
fail_in_log 3 "${all[@]}" >/dev/null
sleep 32
fail_in_log 1 198.19.250.250 >/dev/null
sleep 2
echo "default rate limit: $(property NBans) of $count in force, NMessagesSuppressed $(property NMessagesSuppressed)"
inside banishctl status | sed 's/^/    /'
inside systemctl stop banishd.service

if [ -n "${PEER:-}" ]; then
  drop_in ssh.service $'[Service]\nLogRateLimitIntervalSec=0'
  printf '%s\n' '[DEFAULT]' 'backend = systemd' 'banaction = nftables-multiport' 'maxretry = 3' \
    'findtime = 10m' 'bantime = 1h' '[sshd]' 'enabled = true' 'port = 22' >"$(root)/etc/fail2ban/jail.local"
  drop_in fail2ban.service $'[Service]\nCPUAccounting=yes'
  inside systemctl start fail2ban.service
  eventually 20 inside fail2ban-client status sshd
  mapfile -t all < <(addresses "$count")
  measure fail2ban fail2ban.service fail2ban_bans
fi
exit 0
