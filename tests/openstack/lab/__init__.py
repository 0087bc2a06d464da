"""A real Keystone, Placement and Nova on one machine.

Only the guests are missing, and what Nova asks Glance and Neutron for: its
compute driver is a small one of our own that moves records. Everything else
is what a cloud runs, from the packages that a cloud installs, with a MariaDB
and a RabbitMQ of the laboratory's own. SQLite would not do: Nova's services
write at once.
"""
