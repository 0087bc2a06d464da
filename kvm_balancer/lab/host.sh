# Runs first in the new namespaces of a host: gives it its name, its own
# directories over those of the system, and then stays as the process that
# holds the namespaces.
#   host.sh NAME DIRECTORY SOURCE
set -eu
name=$1 directory=$2 source=$3
hostname "$name"
mount --make-rprivate /
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 "$source" /run
mkdir -p /run/lock /run/kvm-balancer-lab
# A machine that has the daemon alone lacks some of the places to mount on.
mkdir -p /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
mount --bind "$directory/etc" /etc/libvirt
# With what is mounted in it.
mount --rbind "$directory/lib" /var/lib/libvirt
mount --bind "$directory/cache" /var/cache/libvirt
mount --bind "$directory/log" /var/log/libvirt
mount --bind "$directory/hosts" /etc/hosts
# A connection whose other end is gone without a word: given up after 25 s
# instead of 15 minutes, as is recommended for hosts in operation.
echo 6 > /proc/sys/net/ipv4/tcp_retries2
echo ready
exec sleep infinity
