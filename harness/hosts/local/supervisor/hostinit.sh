#!/bin/sh
# Process 1 of a local host, until it has built the host's own view of the machine and becomes its init (tini) with sshd.
#
# The supervisor has made the file system read-only and /dev small already (shared by all hosts); here comes what each host has alone:
# its /proc, memory disks, real disks, address. Environment: LAB BASE MACHINE ADDRESS ADDRESS6 GATEWAY NETWORK DROPPED SSHD DIRECTORY UNATTENDED.
set -eu

echo ready # the namespaces exist: the supervisor can plug in eth0
read -r _go
exec 3>&1 </dev/null >&2

mount --make-rprivate /
mount -t proc -o nosuid,nodev,noexec proc /proc
# Kernel settings are the machine's, but those of the network are the host's.
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro /proc/sys
if [ -e /proc/sysrq-trigger ]; then mount --bind /dev/null /proc/sysrq-trigger; fi
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys || echo "no own /sys: $?"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts /dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm

# The labs' directory may lie in one of the places that get covered now: reach this lab another way, then take the rest out of sight.
mkdir /dev/shm/lab
mount --bind "$LAB" /dev/shm/lab
umount -l "$BASE"
mount -t tmpfs -o ro,mode=555,size=4k tmpfs "$BASE"
for at in srv var/lib var/log var/tmp; do
    mount --bind "/dev/shm/lab/hosts/$MACHINE/$at" "/$at"
done
mkdir -p /var/lib/sshd
mount --bind /dev/shm/lab/ssh /var/lib/sshd
mount -o remount,bind,ro /var/lib/sshd
umount /dev/shm/lab
rmdir /dev/shm/lab
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /run/sshd /run/lock /srv/home "$DIRECTORY/boot.d"
cd /

hostname "$MACHINE"
if [ -d /proc/sys/net/ipv6 ]; then
    echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6
    printf 'addr add %s/64 dev eth0 nodad\n' "$ADDRESS6" | ip -batch -
fi
# A default route lets limited broadcast and multicast leave; nothing forwards them.
printf '%s\n' 'link set lo up' "addr add $ADDRESS/24 brd + dev eth0" 'link set eth0 up' "route add default via $GATEWAY" | ip -batch -
# All namespaces of the machine share one table of learned neighbours (1024 entries): a full mesh of 33 would overflow it. Permanent
# entries do not count, and need no asking. In a lab of regions there are more routes as well.
printf '%s\n' "$NETWORK" | ip -batch -

# As init starts units: in name order, each to its end, when one can log in. What they leave running belongs to init. /run/booted says that all
# have ended, with a line for each that failed.
boot_hooks='
listening() { grep -qs "^ *[0-9]*: [0-9A-F]*:0016 [0-9A-F]*:0000 0A " /proc/net/tcp /proc/net/tcp6; }
tries=0
until listening || [ $tries = 500 ]; do tries=$((tries + 1)); sleep 0.02; done
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
for hook in "$DIRECTORY"/boot.d/*; do
    if [ -f "$hook" ] && [ -x "$hook" ]; then
        timeout 30 env -i PATH=$path HOME=/srv/home UNATTENDED=$UNATTENDED "$hook" || echo "$hook: exit $?" | tee -a /run/booting
    fi
done
mv /run/booting /run/booted
'
: >/run/booting

echo configured >&3 # from here on a connection is answered, were it by a refusal
exec 3>&-
without="setpriv --ambient-caps=$DROPPED --inh-caps=$DROPPED --bounding-set=$DROPPED"
$without sh -c "$boot_hooks" &
exec $without tini -s -- "$SSHD" -D -e -f /var/lib/sshd/sshd_config
