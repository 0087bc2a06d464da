"""What QEMU does in a migration, and nobody can change from outside.

Facts only, each with where QEMU has it (as of 7.2; later ones are alike).
Whoever decides on a migration, predicts one, or plays one, takes them from
here.
"""

#: ``DEFAULT_MIGRATE_SET_DOWNTIME``, migration/migration.c: the limit of the
#: downtime with which a migration begins.
FIRST_DOWNTIME_MS = 300

#: ``MAX_WAIT``, ``ram_save_iterate`` in migration/ram.c: QEMU sends for as
#: long before it looks whether what is left fits the downtime.
LOOK_SECONDS = 0.05
#: What is left when it looks is therefore less than fits by half of that, on
#: average.
MEAN_LOOK_SECONDS = LOOK_SECONDS / 2.0

#: ``BUFFER_DELAY``, migration/migration.c: the bandwidth is reckoned, and
#: its limit kept, in slices of this length.
BANDWIDTH_SECONDS = 0.1

#: ``DEFAULT_MIGRATE_CPU_THROTTLE_INITIAL``, ``_INCREMENT`` and
#: ``DEFAULT_MIGRATE_MAX_CPU_THROTTLE``, migration/migration.c.
FIRST_THROTTLE_PERCENT = 20
THROTTLE_STEP_PERCENT = 10
HIGHEST_THROTTLE_PERCENT = 99
#: ``DEFAULT_MIGRATE_THROTTLE_TRIGGER_THRESHOLD``: QEMU throttles when more
#: than this share of what was sent got dirty,
THROTTLE_SHARE = 0.5
#: ``migration_trigger_throttle``, migration/ram.c: in this many looks,
THROTTLE_LOOKS = 2
#: ``migration_bitmap_sync``: which are more than so far apart.
THROTTLE_PERIOD_SECONDS = 1.0

#: Stopping, the state of the devices and starting: what a switch takes when
#: no memory is left (seen with QEMU 7.2 and libvirt 9.0).
SWITCH_MS = 10.0
