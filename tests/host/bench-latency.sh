#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# bench-latency.sh [COUNT]: from the journal's timestamp of the third failure to the element in the
# kernel's set, over COUNT (50) real SSH attacks; then the same for fail2ban on the same host, with its
# systemd backend and nftables. The element's time is when `nft monitor` tells of it, a little after
# the kernel has it. Prints the quantiles in milliseconds.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

count=${1:-50}
export HOST_DISK=1 HOST_PACKAGES=fail2ban,python3-systemd

# watch FILE: stamps every line of the set's changes.
watch() {
  HOST_TIMEOUT=900 inside sh -c 'exec nft monitor elements' | while IFS= read -r line; do
    echo "$EPOCHREALTIME $line"
  done >"$1" &
}

# attack OCTET: COUNT addresses, ten at a time, three wrong passwords each.
attack() {
  local i
  for ((i = 1; i <= count; i++)); do
    while [ "$(jobs -rp | wc -l)" -ge "${AT_ONCE:-10}" ]; do wait -n || true; done
    (HOST_TIMEOUT=15 guess "198.18.$1.$i" 3) >/dev/null 2>&1 &
  done
  sleep 12
}

# report NAME OCTET FILE: third failure to element.
report() {
  inside journalctl --sync
  inside journalctl -q -b -u ssh.service -o short-unix --grep 'Failed password' |
    awk -v octet="$2" '
      FNR == NR { if (match($0, "198\\.18\\." octet "\\.[0-9]+")) {
          a = substr($0, RSTART, RLENGTH); if (++n[a] == 3) third[a] = $1 } next }
      /add element/ && match($0, "198\\.18\\." octet "\\.[0-9]+") {
          a = substr($0, RSTART, RLENGTH); if (a in third && !(a in seen)) { seen[a] = 1
            printf "%.3f\n", ($1 - third[a]) * 1000 } }' - "$3" | sort -n >"$work/latency"
  awk -v name="$1" -v count="$count" '{ v[NR] = $1 }
    END { if (NR) printf "%s: %d of %d, min %.1f, median %.1f, p90 %.1f, max %.1f ms\n",
      name, NR, count, v[1], v[int((NR + 1) / 2)], v[int(NR * 0.9)], v[NR]
      else printf "%s: no bans seen\n", name }' "$work/latency"
}

trap finish EXIT
test=bench-latency
host up "$SUITE"
inside systemctl disable --now fail2ban.service >/dev/null 2>&1
before_testcases >"$work/log" 2>&1
watch "$work/banishd"
sleep 1
attack 1
report banishd 1 "$work/banishd"
inside systemctl stop banishd.service

cat >"$(root)/etc/fail2ban/jail.local" <<'END'
[DEFAULT]
backend = systemd
banaction = nftables-multiport
maxretry = 3
findtime = 10m
bantime = 10m
[sshd]
enabled = true
# a host without netbase has no names of ports
port = 22
END
inside systemctl start fail2ban.service
eventually 20 inside fail2ban-client status sshd
watch "$work/fail2ban"
sleep 1
attack 2
report fail2ban 2 "$work/fail2ban"
exit 0
