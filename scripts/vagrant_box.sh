#!/bin/sh
# Make a small Vagrant box for libvirt from Debian packages: no download of a finished box, and nothing in it but what the machines need.
#
#   sh scripts/vagrant_box.sh OUTPUT.box [SUITE]      as root; two or three minutes; SUITE defaults to this machine's, else trixie
#   vagrant box add --name tribulation/debian OUTPUT.box && TRI_BOX=tribulation/debian vagrant up --provider libvirt
#
# The kernel lies beside the disk, and the box's own Vagrantfile boots it: there is no boot loader. It also chooses emulation (driver qemu), which works everywhere;
# with `TRI_DRIVER=kvm` it is fast. SOURCES=/path/to/a/sources/list says where packages come from (default: this machine's, on Debian).
set -eu

[ $# -ge 1 ] || { sed -n '2,9p' "$0" >&2; exit 2; }
box=$(realpath "$1")
suite=${2:-$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME" || echo trixie)}
sources=${SOURCES-$(for each in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do [ -s "$each" ] && echo "$each" && break; done || true)}

missing=
for program in mmdebstrap qemu-img mke2fs vagrant; do command -v "$program" >/dev/null || missing="$missing $program"; done
if [ -n "$missing" ]; then
    printf 'not found:%s\n\nhint: apt install --no-install-recommends mmdebstrap qemu-utils e2fsprogs vagrant vagrant-libvirt\n' "$missing" >&2
    exit 4
fi
[ "$(id -u)" -eq 0 ] || { printf 'an image is made as root\n\nhint: run it as root\n' >&2; exit 4; }

work=$(mktemp -d "${TMPDIR:-/var/tmp}/tribulation-box.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$work"
# The key that every fresh box opens to; `vagrant up` puts one of its own in its place.
key=$(ruby -e 'require "vagrant"; puts Vagrant.source_root.join("keys", "vagrant.pub")' 2>/dev/null || true)
[ -s "$key" ] || key=$(find /usr/share /opt -path '*vagrant*' -name vagrant.pub 2>/dev/null | head -n 1)
[ -s "$key" ] || { printf 'no public key of Vagrant found\n\nhint: is vagrant installed whole?\n' >&2; exit 4; }

mkdir -p "$work/files/etc/initramfs-tools/conf.d" "$work/files/etc/systemd/network" "$work/files/etc/sudoers.d" "$work/box"
echo MODULES=list >"$work/files/etc/initramfs-tools/conf.d/box"
printf '%s\n' virtio_pci virtio_blk virtio_net ext4 >"$work/files/etc/initramfs-tools/modules"
printf '[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n' >"$work/files/etc/systemd/network/10-eth0.network"
printf 'vagrant ALL=(ALL) NOPASSWD: ALL\n' >"$work/files/etc/sudoers.d/vagrant"
chmod 440 "$work/files/etc/sudoers.d/vagrant"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$work/files/etc/hosts"

# shellcheck disable=SC2016,SC2086  (mmdebstrap's hooks have the root as $1; sources are none or one)
mmdebstrap --variant=minbase \
    --include=systemd-sysv,dbus,udev,kmod,openssh-server,sudo,python3,nftables,iproute2,procps,hostname,iputils-ping,linux-image-cloud-amd64 \
    --customize-hook="copy-in $work/files/etc /" \
    --customize-hook='chroot "$1" useradd --create-home --shell /bin/bash vagrant' \
    --customize-hook="home=\"\$1\"/home; install -d -m 700 \"\$home/vagrant/.ssh\" && install -m 600 $key \"\$home/vagrant/.ssh/authorized_keys\"" \
    --customize-hook='chroot "$1" sh -c "chown -R vagrant:vagrant ~vagrant"' \
    --customize-hook='chroot "$1" systemctl enable systemd-networkd.service ssh.service' \
    --customize-hook='chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer systemd-networkd-wait-online.service systemd-logind.service e2scrub_reap.service' \
    --customize-hook='chroot "$1" update-initramfs -u' \
    --customize-hook='touch "$1/etc/.updated" "$1/var/.updated"' \
    "$suite" "$work/root" $sources

cp "$work"/root/boot/vmlinuz-* "$work/box/vmlinuz"
cp "$work"/root/boot/initrd.img-* "$work/box/initrd"
truncate -s 8G "$work/root.raw"
mke2fs -q -t ext4 -L root -d "$work/root" "$work/root.raw"
qemu-img convert -O qcow2 "$work/root.raw" "$work/box/box.img"
echo '{"provider": "libvirt", "format": "qcow2", "virtual_size": 8}' >"$work/box/metadata.json"
cat >"$work/box/Vagrantfile" <<'BOX'
Vagrant.configure("2") do |config|
  config.vm.provider "libvirt" do |libvirt|
    libvirt.driver = ENV.fetch("TRI_DRIVER", "qemu")
    libvirt.cpu_mode = libvirt.driver == "kvm" ? "host-passthrough" : "maximum"
    libvirt.kernel = File.join(__dir__, "vmlinuz")
    libvirt.initrd = File.join(__dir__, "initrd")
    libvirt.cmd_line = "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet audit=0 mitigations=off"
  end
end
BOX
tar -czf "$box" -C "$work/box" metadata.json Vagrantfile box.img vmlinuz initrd
echo "$box"
