#!/bin/sh
# Run a command with a libvirtd of its own, in namespaces of its own: no network, service or file of this machine is touched, and nothing is left.
#
#   sh scripts/in_private_vagrant.sh STATE COMMAND…       as root
#
# STATE is a directory for Vagrant's boxes, the machines' disks and whatever changes in /etc and /var: keep it, and boxes need not be added again. Machines end with
# the command; end it with `vagrant destroy -f`, or Vagrant believes that they are only halted. For example:
#
#   sh scripts/vagrant_box.sh /var/tmp/debian.box
#   sh scripts/in_private_vagrant.sh /var/tmp/vagrant sh -c 'vagrant box add --name tribulation/debian /var/tmp/debian.box &&
#       TRI_BOX=tribulation/debian .venv/bin/tri run campaigns/quickstart.yaml --hosts vagrant --set hosts.nodes=2; vagrant destroy -f'
set -eu

[ $# -ge 2 ] || { sed -n '2,11p' "$0" >&2; exit 2; }
if [ "${1}" != --inside ]; then
    [ "$(id -u)" -eq 0 ] || { printf 'namespaces with bridges and a libvirtd are made as root\n\nhint: run it as root\n' >&2; exit 4; }
    missing=
    for program in vagrant virsh libvirtd virtlogd dnsmasq; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || missing="$missing $program"
    done
    if [ -n "$missing" ]; then
        printf 'not found:%s\n\nhint: apt install --no-install-recommends vagrant vagrant-libvirt libvirt-daemon-system libvirt-clients dnsmasq-base qemu-system-x86\n' "$missing" >&2
        exit 4
    fi
    state=$1
    shift
    mkdir -p "$state"
    exec unshare --net --mount --pid --fork --kill-child=SIGKILL --mount-proc --propagation private sh "$0" --inside "$(realpath "$state")" "$@"
fi
shift
state=$1
shift
PATH=$PATH:/usr/sbin:/sbin
export PATH

# What is below STATE stays reachable when /var gets a layer of its own above it.
mkdir -p "$state/etc" "$state/var" "$state/work-etc" "$state/work-var" "$state/home" "$state/images"
mount -t tmpfs tmpfs /mnt
mkdir /mnt/state
mount --bind "$state" /mnt/state
for name in etc var; do
    mount -t overlay overlay -o "lowerdir=/$name,upperdir=/mnt/state/$name,workdir=/mnt/state/work-$name" "/$name"
done
[ -d "$state" ] || mkdir -p "$state"
mount --bind /mnt/state "$state"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/dbus
ip link set lo up
sysctl -qw net.ipv4.ip_forward=0 2>/dev/null || true

printf '%s\n' 'auth_unix_rw = "none"' 'auth_unix_ro = "none"' >>/etc/libvirt/libvirtd.conf
# Root, and no cgroups or mount namespaces of libvirt's own: all of this is one namespace already.
printf '%s\n' 'security_driver = "none"' 'user = "root"' 'group = "root"' 'cgroup_controllers = [ ]' 'namespaces = [ ]' 'remember_owner = 0' >>/etc/libvirt/qemu.conf
virtlogd --daemon
libvirtd --daemon
tries=0
until virsh -q -c qemu:///system version >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 150 ] || { printf 'libvirtd does not answer\n\nhint: look at %s/var/log/libvirt\n' "$state" >&2; exit 4; }
    sleep 0.2
done
# Domains and disks of a time before ended with it.
for domain in $(virsh -q -c qemu:///system list --all --name); do virsh -q -c qemu:///system undefine "$domain" >/dev/null || true; done
if ! virsh -q -c qemu:///system pool-info default >/dev/null 2>&1; then
    virsh -q -c qemu:///system pool-define-as default dir --target "$state/images"
fi
virsh -q -c qemu:///system pool-start default 2>/dev/null || true

VAGRANT_HOME=$state/home
VAGRANT_DEFAULT_PROVIDER=libvirt
export VAGRANT_HOME VAGRANT_DEFAULT_PROVIDER
# The last command of this shell, but not in its place: process 1 must reap what daemons leave.
"$@"
