"""Services in processes of their own, over a real RabbitMQ, and commands."""

import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from kvm_balancer.lab import broker
from tests.fixtures import patience

TIMEOUT_SECONDS = 600


class ServiceCase(unittest.TestCase):
    """A broker, no database yet, and a configuration of both."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if broker.program() is None:
            raise RuntimeError('rabbitmq-server is not installed')
        made = tempfile.TemporaryDirectory(prefix='kvm-balancer-cmd-')
        cls.addClassCleanup(made.cleanup)
        folder = pathlib.Path(made.name)
        cls.rabbit = broker.Broker(folder / 'rabbit', pki=None)
        cls.addClassCleanup(cls.rabbit.stop)
        cls.rabbit.start()
        cls.conf = folder / 'kvm-balancer.conf'
        cls.conf.write_text(
            f'[DEFAULT]\ntransport_url = {cls.rabbit.url}\n'
            f'[database]\nconnection = sqlite:///{folder}/agent.sqlite\n'
        )

    def command(self, module, *arguments, conf=None):
        return [
            *(sys.executable, '-m', f'kvm_balancer.cmd.{module}'),
            *('--config-file', str(conf or self.conf)),
            *arguments,
        ]

    def run_command(self, module, *arguments):
        return subprocess.run(
            self.command(module, *arguments),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def start(self, module, said, conf=None):
        """Start a service; return when it has *said* that it is there."""
        service = subprocess.Popen(
            self.command(module, conf=conf),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(service.stdout.close)
        self.addCleanup(service.wait, TIMEOUT_SECONDS)
        self.addCleanup(service.kill)
        told = []
        with patience.limited(service, TIMEOUT_SECONDS):
            for line in service.stdout:
                told.append(line)
                if said in line:
                    break
            else:
                self.fail(f'the {module} did not come up: {"".join(told)}')
        # what nobody reads any more fills the pipe, and the service waits
        reader = threading.Thread(target=service.stdout.read)
        reader.start()
        self.addCleanup(reader.join)
        self.addCleanup(service.send_signal, signal.SIGTERM)
