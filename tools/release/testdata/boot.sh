#!/bin/sh
# boot.sh FOLDER: run as PID 1 of new namespaces, boots systemd in a root of its own: an overlay over this
# machine's, so that dpkg, systemd and their libraries are there. What is written goes to FOLDER/upper/root.
set -e
cd "$1"
mkdir -p upper root
mount -t tmpfs tmpfs upper
mkdir upper/root upper/work
mount -t overlay overlay -o lowerdir=/,upperdir=upper/root,workdir=upper/work root
cd root
# The machine may have these packages itself: the test begins without them. The folder is theirs too.
chroot . dpkg --purge heliograph heliotx heliorx 2>/dev/null || :
rm -rf etc/heliograph var/lib/heliograph
rm -rf etc/systemd/system/*.wants etc/systemd/system/*.requires usr/lib/systemd/system/*.target.wants
: >etc/machine-id
# Nothing of the machine itself is set from here.
for unit in systemd-sysctl systemd-modules-load systemd-udevd systemd-logind dbus; do
	ln -sf /dev/null etc/systemd/system/$unit.service
done
rm -f usr/sbin/policy-rc.d # where there is one, packages do not start what they bring
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
	: >dev/$device
	mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ip link set lo up
# Not chroot: the kernel refuses user namespaces there, which PrivateUsers= of a unit needs.
mount --make-rprivate /
pivot_root . mnt
cd /
umount -l mnt
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=multi-user.target \
	--log-target=null
