# The guest of the laboratory: two sectors that work for ever.
#
# Fifty times a second it
#   - takes commands from the second serial port, where there is one,
#   - writes to as many pages as it was told, one after another over its
#     working set, and before it writes a page checks that the page holds what
#     the round before has left there: its own address plus the number of that
#     round, so that neither an old page nor one in the wrong place passes,
#     Of the page it then writes this first word, or as many more as it was
#     told, which differ from what they were,
#   - turns in an empty loop as often as it was told, and halts.
# Where its disk may be written to, it writes at the end of each round a sector
# full of the round's number, to each of SLOTS in turn; before that it reads
# the oldest of them back.
# On the first serial port it writes a line per event, numbers in hexadecimal:
#   R ROUND DAMAGED    a round over the working set has ended, and is on the
#                      disk; so many pages and sectors were found damaged since
#                      the start
#   D ROUND ADDRESS    a page is damaged
#   F ROUND STATUS     the disk refused a sector, or gave back another one
#   S ROUND VALUE      a command has set a value
# Commands: the value in nibbles (bytes 00 to 0f, highest first), then one byte
# that says which: 10 the working set in pages, taken up when the round ends;
# 11 pages to write a second; 12 turns of the loop in a fiftieth of a second;
# 13 words of a page to write besides its first, in the lower half.
# Work that does not fit into its fiftieth takes from the next.
#
# While it writes pages, or waits for its disk, it keeps nothing on its stack:
# not even where to return to, which would lie where each interrupt of the
# timer has its flags. Under emulation QEMU before 9.0 now and then loses the
# last write to a page that is written all the time, when it migrates (see
# emulation.py); in a working set, that would be found, on the stack it would
# send the guest astray.
#
# Assembled form: guest.bin. The first values stand in the sector at VALUES,
# where whoever makes a disk of it puts others. The last of them shares its
# word with the signature, of which nobody has need once the sector runs.
# The second sector's last byte says whether the disk is written to: 0 or 1.
# It is an IDE disk then, which is talked to word by word: no buffer is needed,
# whose last write could be lost as well.

.set HERTZ, 50
.set PERIOD, 23864              # the timer runs at 1193182 Hz
.set VALUES, 496
.set WORK, 0x100000             # the working set begins above the first MiB
.set STACK, 0x7000
.set TABLE, 0x1000              # of interrupts
.set VECTOR, 0x20               # of the timer
.set REPORT, 0x3f8
.set COMMAND, 0x2f8
.set DISK, 0x1f0
.set FIRST, 2                   # sector of the slots
.set SLOTS, 8                   # a power of two

# Variables, from ebp on.
.set TICKS, 0
.set CREDIT, 4                  # pages that may be written, times HERTZ
.set DAMAGED, 8
.set VALUE, 12                  # of a command that has begun
.set PAGES, 16                  # these four are set by commands
.set RATE, 20
.set TURNS, 24
.set WORDS, 28                  # the lower half

.globl _start
_start:
.code16
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw $0x0201, %ax           # the second sector, from where we are from
    movw $2, %cx
    movb $0, %dh
    movw $second, %bx
    int $0x13
    inb $0x92, %al              # let addresses have bit 20
    orb $2, %al
    outb %al, $0x92
    lgdtl segments_at
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmp $8, $protected

.code32
protected:
    movl $16, %eax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $STACK, %esp
    movl $variables, %ebp

    # All eight lines of the first controller lead to the timer's handler:
    # only the timer is let through, and a spurious interrupt does no harm.
    movl $TABLE + 8 * VECTOR, %edi
    movl $8, %ecx
1:  movl $0x80000 + timer, (%edi)
    movl $0x8e00, 4(%edi)
    addl $8, %edi
    loop 1b
    lidt table_at
    movl $chips, %esi
    movb $(chips_end - chips) / 2, %cl
    xorl %edx, %edx
2:  lodsw                       # port, value
    movb %al, %dl
    movb %ah, %al
    outb %al, %dx
    loop 2b
    movw $COMMAND + 2, %dx      # a queue for commands
    movb $1, %al
    outb %al, %dx

    xorl %ebx, %ebx             # ebx: the round
    xorl %edi, %edi             # edi: where the working set ends
    jmp begin                   # esi: the next page

work:
    movl TICKS(%ebp), %ecx
take:
    movw $COMMAND + 5, %dx
    inb %dx, %al
    incb %al                    # all bits are set where there is no such port
    jz write
    testb $1, %al
    jnz write
    movw $COMMAND, %dx
    inb %dx, %al
    movl VALUE(%ebp), %edx
    cmpb $16, %al
    jae 1f
    shll $4, %edx
    orb %al, %dl
    movl %edx, VALUE(%ebp)
    jmp take
1:  andl $3, %eax
    movl %edx, PAGES(%ebp, %eax, 4)
    andl $0, VALUE(%ebp)
    movb $'S', %al
    call report
    jmp take

write:
    movl RATE(%ebp), %eax
    addl %eax, CREDIT(%ebp)
next:
    subl $HERTZ, CREDIT(%ebp)
    jns page
    addl $HERTZ, CREDIT(%ebp)

compute:
    movl TURNS(%ebp), %eax
    incl %eax
1:  decl %eax
    jnz 1b

    cli
    cmpl TICKS(%ebp), %ecx
    jne 1f
    sti                         # takes effect after hlt has begun
    hlt
1:  sti
    jmp work

timer:
    incl variables + TICKS
    iret

page:
    leal (%esi, %ebx), %eax
    cmpl %eax, (%esi)
    je 1f
    incl DAMAGED(%ebp)
    movl %esi, %edx
    movb $'D', %al
    call report
1:  leal 1(%esi, %ebx), %eax
    movzwl WORDS(%ebp), %edx    # on no stack: see above
1:  movl %eax, (%esi)
    imull $0x19660d, %eax, %eax
    incl %eax
    addl $4, %esi
    decl %edx
    jns 1b
    decl %esi                   # on to the next page
    orl $4095, %esi
    incl %esi
    cmpl %edi, %esi
    jb next
    incl %ebx
    jmp disk
written:
    movl DAMAGED(%ebp), %edx
    movb $'R', %al
    call report
begin:
    movl $WORK, %esi
    movl PAGES(%ebp), %eax
    shll $12, %eax
    addl %esi, %eax
    cmpl %eax, %edi
    je next
    movl %eax, %edi             # another working set: fill it
1:  leal (%esi, %ebx), %eax
    movl %eax, (%esi)
    addl $4096, %esi
    cmpl %edi, %esi
    jb 1b
    movl $WORK, %esi
    jmp next

report:                         # al: the letter, edx: the value
    pushal
    movl %edx, %ebp
    movw $REPORT, %dx
    outb %al, %dx
    movl %ebx, %edi
    call number
    movl %ebp, %edi
    call number
    movb $'\n', %al
    outb %al, %dx
    popal
    ret
number:
    movb $' ', %al
    outb %al, %dx
    movl $8, %ecx
1:  roll $4, %edi
    movl %edi, %eax
    andb $15, %al
    cmpb $10, %al               # three instructions that make a digit of it
    sbbb $0x69, %al
    das
    outb %al, %dx
    loop 1b
    ret

chips:
    .byte 0x20, 0x11, 0x21, VECTOR, 0x21, 4, 0x21, 3    # ends by itself
    .byte 0x21, 0xfe, 0xa1, 0xff                        # the timer alone
    .byte 0x43, 0x34, 0x40, PERIOD & 0xff, 0x40, PERIOD >> 8
chips_end:

.balign 4
segments:
    .quad 0
    .quad 0x00cf9a000000ffff
    .quad 0x00cf92000000ffff
segments_at:
    .word segments_at - segments - 1
    .long segments
table_at:
    .word 8 * (VECTOR + 8) - 1
    .long TABLE

.org VALUES - PAGES
variables:
    .long 0, 0, 0, 0
    .long 256, 256, 0
    .word 0
    .word 0xaa55

.macro settle                   # al: the status, once it is not busy
    movw $DISK + 7, %dx
busy\@:
    inb %dx, %al
    testb $0x80, %al
    jnz busy\@
.endm

# Begin to read or write the slot of the round of which al is the lowest byte.
# On return zero is clear when the disk has refused.
.macro begin_sector command
    andb $SLOTS - 1, %al
    addb $FIRST, %al
    movb %al, %cl
    settle
    movw $DISK + 2, %dx
    movb $1, %al                # one sector
    outb %al, %dx
    incl %edx
    movb %cl, %al
    outb %al, %dx
    incl %edx
    movb $0, %al
    outb %al, %dx
    incl %edx
    outb %al, %dx
    incl %edx
    movb $0xe0, %al             # the first drive, by the number of a sector
    outb %al, %dx
    incl %edx
    movb $\command, %al
    outb %al, %dx
wait\@:
    settle
    testb $0x21, %al
    jnz begun\@
    testb $8, %al               # is there data to move?
    jz wait\@
    testb $0, %al
begun\@:
.endm

second:
disk:
    cmpb $0, WRITES
    je 9f
    movl %ebx, %eax             # the next round but SLOTS
    subl $SLOTS - 1, %eax
    jbe 3f                      # there was none
    begin_sector 0x20
    jnz 2f
    movl $128, %ecx
    movw $DISK, %dx
1:  inl %dx, %eax
    addl $SLOTS - 1, %eax
    cmpl %ebx, %eax
    loope 1b
    je 3f
    jecxz 2f
1:  inl %dx, %eax               # the rest of a sector that is wrong
    loop 1b
2:  call refused
3:  movl %ebx, %eax
    begin_sector 0x30
    jnz 2f
    movl $128, %ecx
    movl %ebx, %eax
    movw $DISK, %dx
1:  outl %eax, %dx
    loop 1b
    settle
    testb $0x21, %al
    jz 9f
2:  call refused
9:  jmp written

refused:
    incl DAMAGED(%ebp)
    movw $DISK + 7, %dx
    inb %dx, %al
    movzbl %al, %edx
    movb $'F', %al
    jmp report

.org 1023
WRITES:
    .byte 0
