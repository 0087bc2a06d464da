"""The console script ``kvm-balancer-executor``."""

import sys

from oslo_config import cfg

from kvm_balancer.cmd import program


def main() -> int:
    """Run the executor of this host until it is told to end."""

    def make(conf: cfg.ConfigOpts) -> program.Service:
        # The parts take a second to load, which --help has no use for.
        from kvm_balancer.service import executor_service

        return executor_service.ExecutorService(conf)

    return program.main('kvm-balancer-executor', make)


if __name__ == '__main__':
    sys.exit(main())
