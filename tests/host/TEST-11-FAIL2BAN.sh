#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A host that has run fail2ban so far: its configuration runs as it is, unedited, on a system that
# has no /var/log/auth.log; its bans are taken over; and whoever forgets to stop it is told.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

etc() { echo "$(root)/etc/fail2ban"; }

# What the tutorials of ten years have had people type.
tutorial() {
  rm -rf "$(etc)"
  mkdir -p "$(etc)/filter.d" "$(etc)/action.d"
  cat >"$(etc)/jail.local" <<'END'
[DEFAULT]
ignoreip = 127.0.0.1/8
bantime  = 10m
findtime = 10m
maxretry = 3
backend = auto
usedns = warn
destemail = root@localhost
sendername = Fail2Ban
banaction = iptables-multiport
mta = sendmail
protocol = tcp
chain = INPUT
action_ = %(banaction)s[name=%(__name__)s, port="%(port)s", protocol="%(protocol)s", chain="%(chain)s"]
action_mw = %(banaction)s[name=%(__name__)s, port="%(port)s", protocol="%(protocol)s", chain="%(chain)s"]
            %(mta)s-whois[name=%(__name__)s, dest="%(destemail)s", sendername="%(sendername)s"]
action_mwl = %(banaction)s[name=%(__name__)s, port="%(port)s", protocol="%(protocol)s", chain="%(chain)s"]
             %(mta)s-whois-lines[name=%(__name__)s, dest="%(destemail)s", logpath=%(logpath)s, sendername="%(sendername)s"]
action = %(action_)s

[SSH]
enabled = true
port = ssh
filter = sshd
logpath = /var/log/auth.log
maxretry = 6
END
  cat >"$(etc)/filter.d/common.conf" <<'END'
[DEFAULT]
_daemon = \S+
__process = %(_daemon)s(?:\[\d+\])?:
__prefix_line = \s*(?:\S+ )?%(__process)s\s+
END
  cat >"$(etc)/filter.d/sshd.conf" <<'END'
[INCLUDES]
before = common.conf

[Definition]
_daemon = sshd(?:-session)?
failregex = ^%(__prefix_line)sFailed \S+ for .* from <HOST>(?: port \d+)?(?: ssh\d*)?\s*$
            ^%(__prefix_line)sROOT LOGIN REFUSED.* FROM <HOST>\s*$
            ^%(__prefix_line)sInvalid user .* from <HOST>(?: port \d+)?\s*$
            ^%(__prefix_line)sUser .+ from <HOST> not allowed because not listed in AllowUsers\s*$
            ^%(__prefix_line)sUser .+ from <HOST> not allowed because listed in DenyUsers\s*$
            ^%(__prefix_line)sUser .+ from <HOST> not allowed because not in any group\s*$
            ^%(__prefix_line)sUser .+ from <HOST> not allowed because a group is listed in DenyGroups\s*$
            ^%(__prefix_line)sUser .+ from <HOST> not allowed because none of user's groups are listed in AllowGroups\s*$
            ^%(__prefix_line)serror: PAM: Authentication failure for .* from <HOST>\s*$
            ^%(__prefix_line)sReceived disconnect from <HOST>(?: port \d+)?:\s*3: .*Auth fail\s*$
            ^%(__prefix_line)srefused connect from \S+ \(<HOST>\)\s*$
ignoreregex =
END
  cat >"$(etc)/action.d/iptables-multiport.conf" <<'END'
[Definition]
actionstart = iptables -N f2b-<name>
              iptables -I <chain> -p <protocol> -m multiport --dports <port> -j f2b-<name>
actionstop = iptables -D <chain> -p <protocol> -m multiport --dports <port> -j f2b-<name>
actionban = iptables -I f2b-<name> 1 -s <ip> -j DROP
actionunban = iptables -D f2b-<name> -s <ip> -j DROP

[Init]
name = default
chain = INPUT
port = ssh
protocol = tcp
END
  printf '[Definition]\nloglevel = INFO\nlogtarget = /var/log/fail2ban.log\nsyslogsocket = auto\nsocket = /run/fail2ban/fail2ban.sock\npidfile = /run/fail2ban/fail2ban.pid\ndbfile = /var/lib/fail2ban/fail2ban.sqlite3\ndbmaxmatches = 10\ndbpurgeage = 1d\n' \
    >"$(etc)/fail2ban.conf"
}

ssh_jail() { inside busctl get-property org.banishd.Banish1 /org/banishd/Banish1/jail/SSH org.banishd.Banish1.Jail "$1" | cut -d' ' -f2-; }

settle() {
  inside journalctl --sync
  sleep 0.5
}

before_testcases() {
  install_package >"$work/install" 2>&1 || { cat "$work/install" >&2; return 1; }
  tutorial
  start_service
}

testcase_01_the_tutorial_runs_from_etc_fail2ban() {
  refused inside test -e /var/log/auth.log
  contains "$(inside banishctl status)" /etc/fail2ban
  equal "$(ssh_jail State)" '"active"' State
  equal "$(ssh_jail MaxFailures)" 6 MaxFailures
  equal "$(ssh_jail BanUSec)" 600000000 BanUSec
  equal "$(property State)" '"running"' State
  logged 'auth\.log'
}

testcase_02_verify_says_what_the_start_said() {
  contains "$(inside banishctl verify 2>&1)" 'auth\.log'
  contains "$(inside banishctl verify /etc/fail2ban 2>&1)" 'auth\.log'
}

testcase_03_the_sixth_failure_bans() {
  wrong 198.18.6.1 3
  wrong 198.18.6.1 2
  settle
  not_banned 198.18.6.1 || fail "five failures banned"
  wrong 198.18.6.1 1
  eventually 5 banned 198.18.6.1
  refused reaches 198.18.6.1
  reaches 198.18.6.2
}

testcase_04_the_ban_ends_after_bantime() {
  sed -i 's/^bantime .*/bantime = 15/' "$(etc)/jail.local"
  inside systemctl reload banishd.service
  fail_in_log 6 198.18.6.3
  eventually 5 banned 198.18.6.3
  eventually 20 not_banned 198.18.6.3
  reaches 198.18.6.3
}

testcase_05_stop_removes_everything() {
  banned 198.18.6.1
  inside systemctl stop banishd.service
  refused inside nft list table inet banishd
  reaches 198.18.6.1
  inside systemctl start banishd.service
  eventually 5 banned 198.18.6.1
}

testcase_06_gamin_means_auto() {
  sed -i 's/^backend = .*/backend = gamin/' "$(etc)/jail.local"
  inside systemctl reload banishd.service
  equal "$(ssh_jail State)" '"active"' State
}

testcase_07_debians_own_tree_runs() {
  rm -rf "$(etc)"
  cp -a "$("$top/tests/fail2ban" "$SUITE")/etc/fail2ban" "$(etc)"
  inside systemctl restart banishd.service
  equal "$(jail_property State)" '"active"' State
  wrong 198.18.6.4 3
  wrong 198.18.6.4 1
  settle
  not_banned 198.18.6.4 || fail "four failures banned"
  wrong 198.18.6.4 1
  eventually 5 banned 198.18.6.4
}

testcase_08_debians_recidive_counts_bans() {
  printf '[recidive]\nenabled = true\nmaxretry = 2\n' >"$(etc)/jail.local"
  refused inside test -e /var/log/fail2ban.log
  inside systemctl reload banishd.service
  contains "$(inside banishctl status recidive)" 'Bans of: .*sshd'
  fail_in_log 5 198.18.6.5
  eventually 5 banned 198.18.6.5
  inside banishctl unban sshd 198.18.6.5
  eventually 5 not_banned 198.18.6.5
  inside systemctl restart banishd.service
  fail_in_log 5 198.18.6.5
  eventually 5 banned 198.18.6.5
  contains "$(inside banishctl why 198.18.6.5)" 'recidive'
  contains "$(inside banishctl why 198.18.6.5)" '\[sshd\] Ban 198\.18\.6\.5'
}

testcase_09_running_beside_fail2ban_is_warned_of() {
  printf '[Service]\nExecStart=/usr/bin/sleep infinity\n' >"$(root)/etc/systemd/system/fail2ban.service"
  inside systemctl daemon-reload
  inside systemctl start fail2ban.service
  eventually 10 logged 'fail2ban'
  contains "$(inside banishctl status)" 'fail2ban'
  equal "$(jail_property State)" '"active"' State
  inside systemctl stop fail2ban.service
}

testcase_10_an_etc_banishd_goes_before() {
  configure $'[sshd]\nmaxretry = 4'
  inside systemctl restart banishd.service
  equal "$(jail_property MaxFailures)" 4 MaxFailures
  configure ''
  inside systemctl restart banishd.service
  equal "$(jail_property MaxFailures)" 5 'MaxFailures of fail2ban'
}

run_testcases
