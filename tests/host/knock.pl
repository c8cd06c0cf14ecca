# SPDX-License-Identifier: MIT OR Apache-2.0
# knock.pl FROM TO PORT: succeeds if a TCP connection from address FROM gets through within 4 seconds,
# in which the kernel asks three times.
use strict;
use warnings;
use Socket qw(:DEFAULT getaddrinfo AI_NUMERICHOST);

my ($from, $to, $port) = @ARGV;
my @ends;
for ([$from, 0], [$to, $port]) {
    my ($error, $info) = getaddrinfo(@$_, { flags => AI_NUMERICHOST, socktype => SOCK_STREAM });
    die "$_->[0]: $error" if $error;
    push @ends, $info;
}
socket my $tcp, $ends[0]{family}, SOCK_STREAM, 0 or die "socket: $!";
bind $tcp, $ends[0]{addr} or die "bind: $!";
$SIG{ALRM} = sub { exit 1 };
alarm 4;
connect $tcp, $ends[1]{addr} or exit 1;
