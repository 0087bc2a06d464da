"""The console script ``kvm-balancer-agent``."""

import sys

from oslo_config import cfg

from kvm_balancer.cmd import program


def main() -> int:
    """Run the agent until it is told to end."""

    def make(conf: cfg.ConfigOpts) -> program.Service:
        # The parts take a second to load, which --help has no use for.
        from kvm_balancer.service import agent_service

        return agent_service.AgentService(conf)

    return program.main('kvm-balancer-agent', make)


if __name__ == '__main__':
    sys.exit(main())
