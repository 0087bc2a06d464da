"""A real Keystone, Placement and Nova on one machine.

What Nova asks Glance and Neutron for is answered by a small program. Guests
are records, moved by a small compute driver of our own; or they are QEMU's,
moved by Nova's libvirt driver between hosts that are namespaces. Everything
else is what a cloud runs, from the packages that a cloud installs, with a
MariaDB and a RabbitMQ of the laboratory's own. SQLite would not do: Nova's
services write at once.
"""
