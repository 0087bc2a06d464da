#!/bin/sh
# Init of the lab's Linux guest. It tells on its first serial port, a line
# each, what kvm_balancer/lab/watches.py reads:
#
#   B CENTISECONDS                       up, so long after the kernel began
#   C NUMBER BACK EARLY LATE_MS          the clock and its timers
#   D NUMBER CHECKED DAMAGED FAILED      the disk
#   G NUMBER BYTES STUCK                 the random numbers
#   E NUMBER WORD                        a word taken from the second port
#
# Each is told by a process of its own, so that one that hangs is missed and
# hides none of the others. Figures count from the beginning.

mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /run

for module in $(cat /modules/order); do
    insmod "/modules/$module"
done

option() {
    for word in $(cat /proc/cmdline); do
        case $word in "lab.$1="*) echo "${word#*=}" ;; esac
    done
}

say() {
    echo "$*" >/dev/ttyS0
}

# Nanoseconds of CLOCK_MONOTONIC, in $now; costs no process.
look_at_clock() {
    while read -r first second now _; do
        [ "$first $second" = 'now at' ] && return
    done </proc/timer_list
}

# Fifty timers a second: none may end before its time, and no look at the
# clock may show less than the one before. The shell counts in whole
# milliseconds, and so may be early by less than one.
watch_clock() {
    mkfifo /run/never
    exec 3<>/run/never
    number=0 back=0 early=0 late=0 turn=0 last=0
    while :; do
        look_at_clock
        [ "$now" -lt "$last" ] && back=$((back + 1))
        begun=$now
        read -r -t 0.02 _ <&3
        look_at_clock
        last=$now
        took=$(((now - begun) / 1000))
        if [ "$now" -lt "$begun" ]; then
            back=$((back + 1))
        elif [ $took -lt 19000 ]; then
            early=$((early + 1))
        elif [ $took -gt $((20000 + late * 1000)) ]; then
            late=$(((took - 20000) / 1000))
        fi
        turn=$((turn + 1))
        if [ $turn = 25 ]; then
            turn=0 number=$((number + 1))
            say "C $number $back $early $late"
        fi
    done
}

# Says whether a block of the disk, read past all caches, holds what was
# written there last.
check() {
    is=$(dd if=/dev/vda bs=64k count=1 skip="$1" iflag=direct 2>/dev/null |
        md5sum)
    read -r was <"/run/sum-$1"
    checked=$((checked + 1))
    [ "$is" = "$was" ] || damaged=$((damaged + 1))
}

# Blocks of random content go round on the disk. The checksum of each is kept
# in memory; it is read back at once, and again before it is written anew.
watch_disk() {
    number=0 checked=0 damaged=0 failed=0
    while :; do
        slot=$((number % 8)) number=$((number + 1))
        [ $number -gt 8 ] && check $slot
        {
            echo "block $number"
            dd if=/dev/urandom bs=48k count=1 2>/dev/null
        } | dd of=/run/block bs=64k count=1 conv=sync iflag=fullblock \
            2>/dev/null
        md5sum </run/block >/run/sum-$slot
        dd if=/run/block of=/dev/vda bs=64k count=1 seek=$slot oflag=direct \
            conv=notrunc 2>/dev/null || failed=$((failed + 1))
        check $slot
        say "D $number $checked $damaged $failed"
        sleep 0.1
    done
}

# Sixteen bytes at a time from the host; never the same twice.
watch_random_numbers() {
    number=0 bytes=0 stuck=0 was=
    while :; do
        is=$(hexdump -n 16 -e '16/1 "%02x"' /dev/hwrng)
        [ ${#is} = 32 ] && [ "$is" != "$was" ] || stuck=$((stuck + 1))
        was=$is number=$((number + 1)) bytes=$((bytes + ${#is} / 2))
        say "G $number $bytes $stuck"
        sleep 0.5
    done
}

# Whatever comes in on the second port goes out on the first.
echo_words() {
    stty -F /dev/ttyS1 raw -echo
    number=0
    while read -r word; do
        number=$((number + 1))
        say "E $number $word"
    done </dev/ttyS1
}

stty -F /dev/ttyS0 raw -echo
ip link set lo up
ip address add "$(option address)" dev eth0
ip link set eth0 up
read -r up _ </proc/uptime
say "B ${up%.*}${up#*.}"
watch_clock &
watch_disk &
watch_random_numbers &
echo_words &
while :; do wait; sleep 60; done
