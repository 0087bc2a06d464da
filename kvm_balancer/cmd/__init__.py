"""The command line: console scripts, and nothing that thinks."""

from kvm_balancer.cmd import startup

# Whatever a script imports comes after this line, and some libraries speak
# or choose their kind of threads while they are imported.
startup.prepare()
