#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: qmp-snapshot.pl DOMAIN
#
# The bare operation that bench/snapshot.sh compares with: pause, one QMP transaction of
# blockdev-snapshot-sync over all qcow2 disks, unpause, as a script of an administrator would do it (and
# without what makes it safe). Prints how long the domain was paused, in milliseconds.
use strict;
use warnings;
use Socket;

my $domain = shift or die "usage: $0 DOMAIN\n";
my ($domid) = `xl domid $domain` =~ /(\d+)/ or die "no domain '$domain'\n";

sub now {
    my $ticks = pack 'qq', 0, 0;
    syscall(228, 1, $ticks) == 0 or die "clock_gettime: $!\n";    # CLOCK_MONOTONIC
    my ($seconds, $nanoseconds) = unpack 'qq', $ticks;
    return $seconds * 1000 + $nanoseconds / 1e6;
}

socket(my $qmp, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
connect($qmp, sockaddr_un("/run/xen/qmp-libxl-$domid")) or die "QMP of $domain: $!\n";
my $buffer = '';

sub line {
    until ($buffer =~ s/^(.*?)\r?\n//) {
        sysread($qmp, $buffer, 65536, length $buffer) or die "QMP ended\n";
    }
    return $1;
}

sub command {
    syswrite $qmp, "$_[0]\n";
    while (my $answer = line()) {
        return $answer if $answer =~ /^\{"return"/;
        die "$_[0]: $answer\n" if $answer =~ /^\{"error"/;
    }
}

line();
command('{"execute": "qmp_capabilities"}');
my $blocks = command('{"execute": "query-block"}');
my (@actions, @files);
while ($blocks =~ /"node-name": "([^"]+)"/g) {
    my $node = $1;
    next if $node =~ /^#/;
    my $file = "/srv/bare.$domain.$node." . time;
    my ($image) = $node =~ /^(xvd[a-z])/;
    push @files, $file;
    system('qemu-img', 'create', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', "/srv/$domain.0", $file,
        '64M') == 0 or die "qemu-img\n";
    push @actions,
        qq({"type": "blockdev-snapshot-sync", "data": {"node-name": "$node", "snapshot-file": "$file",)
        . qq( "snapshot-node-name": "$image-bare-) . time . qq(", "format": "qcow2", "mode": "existing"}});
}
die "no disks\n" unless @actions;
my $transaction = '{"execute": "transaction", "arguments": {"actions": [' . join(', ', @actions) . ']}}';
system('xl', 'pause', $domain) == 0 or die "xl pause\n";
my $begun = now();
command($transaction);
my $took = now() - $begun;
system('xl', 'unpause', $domain) == 0 or die "xl unpause\n";
printf "%.1f\n", $took;
