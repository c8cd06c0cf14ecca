#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# What `banishctl verify`, run by root, says of a configuration is what a start of the service says.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# jail NAME LOGPATH: a jail that reads that file, with a pattern of its own.
jail() {
  printf '[%s]\nenabled = true\nfilter =\nfailregex = ^no <ADDR>$\nmatchtext = message\nlogpath = %s\n' "$1" "$2"
}

# log OWNER MODE PATH: an empty file on the host.
log() {
  inside sh -c "mkdir -p \$(dirname $3) && : >$3 && chown $1 $3 && chmod $2 $3"
}

# What verify says, one problem a line, without the excerpts.
verified() {
  { inside banishctl verify || true; } >"$work/verify"
  grep -E '^/[^ ]+: (error|warning): ' "$work/verify" | sort || true
}

# What the running service said when it started; its lines end with the remedy.
started() {
  local run
  run=$(inside systemctl show -P InvocationID banishd.service)
  inside journalctl --quiet --no-pager -o cat "_SYSTEMD_INVOCATION_ID=$run" |
    grep -E '^/[^ ]+: (error|warning): ' | sort || true
}

agree() {
  local line
  inside systemctl restart banishd.service
  active
  verified >"$work/verified"
  started >"$work/started"
  [ -s "$work/verified" ] || fail "verify has nothing to say"
  equal "$(wc -l <"$work/verified")" "$(wc -l <"$work/started")" "the number of problems"
  while IFS= read -r line; do
    grep -qF -- "$line (" "$work/started" || fail "the service did not say: $line"
  done <"$work/verified"
}

testcase_01_the_shipped_configuration_is_good() {
  contains "$(inside banishctl verify)" 'no errors, no warnings'
}

testcase_02_root_and_the_service_agree_on_what_cannot_be_read() {
  log root:root 600 /var/log/root-only.log
  log root:adm 640 /var/log/adm-only.log
  log root:root 644 /home/app/open.log
  log root:root 644 /root/open.log
  log root:root 644 /tmp/open.log
  inside sh -c 'mkdir -p /var/log/closed && chmod 700 /var/log/closed'
  log root:root 644 /var/log/closed/a.log
  configure "$(
    jail root-only /var/log/root-only.log
    jail adm-only /var/log/adm-only.log
    jail home /home/app/open.log
    jail root /root/open.log
    jail tmp /tmp/open.log
    jail closed /var/log/closed/a.log
    jail pattern '/var/log/closed/*.log'
  )"
  agree
  contains "$(cat "$work/verify")" '2 jails would run, 6 would not: closed, home, pattern, root, root-only, tmp$'
  contains "$(cat "$work/verify")" "may not read '/var/log/root-only.log'"
  contains "$(cat "$work/verify")" "ProtectHome=read-only"
  contains "$(cat "$work/verify")" "chmod g\+rx '/var/log/closed'"
  refused inside banishctl verify
}

testcase_03_what_it_says_to_do_helps() {
  configure "$(jail root-only /var/log/root-only.log)"
  agree
  inside sh -c "$(sed -n 's/.*create it so: //p' "$work/verify")"
  inside systemctl restart banishd.service
  contains "$(inside banishctl verify)" 'no errors'
  equal "$(started)" '' "complaints"
}

testcase_04_a_configuration_that_only_root_can_read_is_told_of() {
  configure '[sshd]'
  inside chmod 600 /etc/banishd/jail.local
  agree
  contains "$(cat "$work/verify")" '/etc/banishd/jail.local: error: cannot read the file'
  configure ''
}

testcase_05_an_etc_fail2ban_is_run_where_there_is_nothing_else() {
  equal "$(property ConfigurationDirectory)" '"/etc/banishd"' ConfigurationDirectory
  inside rm -rf /etc/banishd
  inside mkdir -p /etc/fail2ban/filter.d
  printf '[Definition]\nloglevel = INFO\nsocket = /run/x\n' >"$(root)/etc/fail2ban/fail2ban.conf"
  jail web /var/log/adm-only.log >"$(root)/etc/fail2ban/jail.conf"
  inside systemctl restart banishd.service
  active
  equal "$(property ConfigurationDirectory)" '"/etc/fail2ban"' ConfigurationDirectory
  contains "$(inside banishctl status)" 'Config: /etc/fail2ban'
  contains "$(inside banishctl status)" 'web +active'
  contains "$(inside banishctl verify)" '^/etc/fail2ban: no errors.*1 jail would run'
}

run_testcases
