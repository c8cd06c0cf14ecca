# SPDX-License-Identifier: MIT OR Apache-2.0
# burst.pl FAILURES FILE: logs sshd's message for a wrong password FAILURES times for each address in
# FILE, then says when it wrote the last (microseconds since the epoch). It writes to journald's own
# socket and waits when that is full, so nothing is lost on the way in; it stays until journald has taken
# the last message and seen which unit it belongs to.
use strict;
use warnings;
use Socket;

my ($failures, $file) = @ARGV;
open my $in, '<', $file or die "$file: $!";
chomp(my @addresses = <$in>);
socket my $journal, PF_UNIX, SOCK_DGRAM, 0 or die "socket: $!";
connect $journal, sockaddr_un('/run/systemd/journal/socket') or die "journal: $!";
my $port = 1024;
for my $round (1 .. $failures) {
    for my $address (@addresses) {
        $port = $port % 64511 + 1024;
        my $entry = "PRIORITY=6\nSYSLOG_FACILITY=4\nSYSLOG_IDENTIFIER=sshd\nSYSLOG_PID=$$\n"
            . "MESSAGE=Failed password for root from $address port $port ssh2\n";
        send $journal, $entry, 0 or die "send: $!";
    }
}
# Debian 13's perl-base has no Time::HiRes.
print qx(date +%s%6N);
system('journalctl', '--sync') == 0 or die 'journalctl --sync';
