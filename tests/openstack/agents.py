"""A real agent beside the laboratory, and what it measures loads by."""

import contextlib
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import uuid

from kvm_balancer.lab import programs
from kvm_balancer.lab import services
from kvm_balancer.lab import waiting
from tests.openstack import ground

_BIN = pathlib.Path(sys.executable).parent
_NAME = 'agent'
_UP = 'The agent is up'


@contextlib.contextmanager
def prometheus(lab):
    """Be a Prometheus that knows what servers use; yield its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers['Content-Length']))
            result = [
                {'metric': {'uuid': uid}, 'value': [0.0, str(cores)]}
                for uid, cores in lab.load().items()
            ]
            answer = {
                'status': 'success',
                'data': {'resultType': 'vector', 'result': result},
            }
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{server.server_address[1]}'
    finally:
        server.shutdown()
        server.server_close()


def _metrics(url):
    return {
        'metrics': {'sources': 'nova,prometheus', 'interval_seconds': 1},
        'prometheus': {
            'url': url,
            'host_cpu_query': '',
            'host_memory_query': '',
            'instance_cpu_query': 'cores',
        },
    }


class Agent:
    """An agent with a database of its own.

    :param name: of its files, in the directory of the laboratory
    :param metrics_url: of a Prometheus; None where executors sample
    :param settings: options besides, by group
    :param user: of the project ``service``, as whom it speaks to Nova
    """

    def __init__(
        self, lab, name, metrics_url, settings=None, user='nova', **agent
    ):
        self.lab = lab
        self.configuration = lab.directory / 'etc' / f'{name}.conf'
        self._user = user
        self._database = lab.directory / 'state' / f'{name}.sqlite'
        made = self._settings(metrics_url, agent)
        for group, options in (settings or {}).items():
            made[group] = made.get(group, {}) | options
        services.write_configuration(self.configuration, made)

    def start(self):
        """Start it, also again, and wait until it sees all computes."""
        self.command('db', 'upgrade')
        log = self.lab.processes.log(_NAME)
        told = len(log.read_text()) if log.exists() else 0
        self.lab.processes.start(
            _NAME,
            [
                str(_BIN / 'kvm-balancer-agent'),
                f'--config-file={self.configuration}',
            ],
        )
        waiting.until(
            lambda: _UP in log.read_text()[told:],
            'the agent to be up',
            runs=lambda: self.lab.processes.is_alive(_NAME),
            said=lambda: self.lab.processes.last_words(_NAME),
        )
        waiting.until(
            self._sees_all,
            'the agent to see all computes',
            ground.PATIENCE_SECONDS,
            said=lambda: self.lab.processes.last_words(_NAME),
        )

    def _sees_all(self):
        """Say whether it has figures of each compute."""
        seen = {one['name'] for one in self.ask('hosts') if not one['silent']}
        return seen >= set(self.lab.hosts)

    def stop(self):
        self.lab.stop(_NAME)

    def kill(self, number):
        """Send it a signal."""
        self.lab.processes.signal(_NAME, number)

    def command(self, *arguments, timeout=ground.PATIENCE_SECONDS):
        """Run a command of the command line; return what it wrote."""
        return programs.run(self._program(*arguments), timeout)

    def ask(self, *arguments):
        """Return the agent's answer to a command."""
        return json.loads(self.command(*arguments, '-f', 'json'))

    def run(self, *arguments):
        """Run a command that may fail."""
        return subprocess.run(
            self._program(*arguments),
            capture_output=True,
            text=True,
            timeout=ground.PATIENCE_SECONDS,
            check=False,
        )

    def migrations(self):
        """Return its migrations, all of them."""
        return self.ask('migrations', 'list', '--limit', '1000')

    def _program(self, *arguments):
        return [
            str(_BIN / 'kvm-balancer'),
            f'--config-file={self.configuration}',
            *arguments,
        ]

    def _credentials(self):
        """Return what leads to Nova: an application credential, as advised."""
        with self.lab.connect(self._user, 'service') as there:
            made = there.identity.create_application_credential(
                there.current_user_id, f'kvm-balancer-{uuid.uuid4()}'
            )
        return {
            'auth_type': 'v3applicationcredential',
            'auth_url': self.lab.files.auth_url,
            'application_credential_id': made.id,
            'application_credential_secret': made.secret,
            'region_name': 'RegionOne',
        }

    def _settings(self, metrics_url, agent):
        return {
            'DEFAULT': {'transport_url': self.lab.broker.url},
            'database': {'connection': f'sqlite:///{self._database}'},
            'agent': {
                'mode': 'advise',
                'interval_seconds': 1,
                'policies': 'relieve',
                'instance_cooldown_seconds': 600,
                'host_cooldown_seconds': 0,
                'announce_seconds': 0.5,
                **agent,
            },
            'relieve': {
                'limit': 0.8,
                'margin': 0.1,
                'hold_seconds': 2,
                # All computes share the cores of one machine.
                'steal_limit': 0,
            },
            'samples': {'silent_after_seconds': 30, 'ewma_seconds': 2},
            **(_metrics(metrics_url) if metrics_url else {}),
            'nova': {
                **self._credentials(),
                'poll_interval_seconds': 0.5,
                'reconcile_seconds': 5,
                'max_per_host': 2,
            },
            'placement': {'region_name': 'RegionOne'},
        }
