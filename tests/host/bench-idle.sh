#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# bench-idle.sh [SECONDS]: what banishd costs when nothing happens, over SECONDS (600): resident memory
# and wake-ups; then memory with COUNT (10000) bans, and how soon after a restart all of them are listed.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-600}
count=${COUNT:-10000}
export HOST_DISK=1 HOST_TIMEOUT=$((seconds + 300))

# memory WHEN: resident, of it the process's own, of it file pages (programs, libraries, journal).
memory() {
  inside awk -v when="$1" '/^Rss(Anon|File)|^VmRSS/ { kib[$1] = $2 }
    END { printf "%s: %d KiB resident, %d KiB its own, %d KiB file pages\n",
      when, kib["VmRSS:"], kib["RssAnon:"], kib["RssFile:"] }' "/proc/$(main_pid)/status"
}

# Voluntary context switches of every thread: each is one wake-up.
wakeups() {
  inside sh -c "cat /proc/$(main_pid)/task/*/status" | awk '/^voluntary/ { n += $2 } END { print n }'
}

# In us, of every thread. Not what systemd counts, which on an outer host with the old control group
# hierarchy holds other disposable hosts as well.
cpu() { inside sh -c "cat /proc/$(main_pid)/task/*/schedstat" | awk '{ n += $1 } END { printf "%.0f\n", n / 1000 }'; }

trap finish EXIT
test=bench-idle
host up "$SUITE"
install_package >"$work/log" 2>&1
drop_in ssh.service $'[Service]\nLogRateLimitIntervalSec=0'
configure $'[sshd]\nbantime = 1h'
start_service
sleep 20
memory "after the start"
before=$(wakeups) cpu_before=$(cpu)
sleep "$seconds"
echo "in $seconds idle seconds: $(($(wakeups) - before)) wake-ups, $(($(cpu) - cpu_before)) us of processor time"
memory "idle"

mapfile -t all < <(addresses "$count")
fail_in_log 3 "${all[@]}" >/dev/null
sleep 5
echo "$(property NBans) bans in force"
memory "with them"
inside systemctl restart banishd.service
memory "after a restart with them"

# From the start of the process to the first answer that lists every ban, asked without a pause.
for _ in 1 2 3 4 5; do
  inside sh -c '
    systemctl kill --signal=KILL --kill-who=main banishd.service
    while [ "$(systemctl show -P MainPID banishd.service)" = 0 ]; do :; done
    until busctl get-property org.banishd.Banish1 /org/banishd/Banish1 org.banishd.Banish1.Manager NBans \
      2>/dev/null | grep -q "u '"$count"'"; do :; done
    listed=$(date +%s%6N)
    began=$(date -d "$(systemctl show -P ExecMainStartTimestamp --timestamp=us banishd.service)" +%s%6N)
    echo "all listed $(((listed - began) / 1000)) ms after the process began"'
done
exit 0
