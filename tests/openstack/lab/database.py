"""A MariaDB of the laboratory's own."""

import pathlib
import shutil

from kvm_balancer.lab import ports
from kvm_balancer.lab import processes
from kvm_balancer.lab import programs
from kvm_balancer.lab import waiting

SCHEMAS = ('keystone', 'placement', 'nova_api', 'nova_cell0', 'nova_cell1')
_USER, _PASSWORD = 'lab', 'secret'
_READY = b'ready for connections'


class Database:
    """One server, on a port that is free.

    :param directory: of the laboratory; keeps its data below it
    :param address: at which it listens
    """

    def __init__(
        self,
        directory: pathlib.Path,
        daemons: processes.Processes,
        address: str,
    ) -> None:
        self._directory = directory / 'mariadb'
        self._daemons = daemons
        self._address = address
        self._port = ports.free(address)

    def url(self, schema: str) -> str:
        """Return where SQLAlchemy finds a schema."""
        place = f'{self._address}:{self._port}'
        return f'mysql+pymysql://{_USER}:{_PASSWORD}@{place}/{schema}'

    def copy(self, kept: pathlib.Path) -> None:
        """Begin with the data that another one has kept."""
        shutil.copytree(kept, self._directory)

    def keep(self, kept: pathlib.Path) -> None:
        """Keep its data for others; ends it, and starts it again."""
        self._daemons.stop('mariadb', waiting.PATIENCE_SECONDS)
        unfinished = kept.with_suffix('.new')
        # Of one that was interrupted.
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(self._directory, unfinished)
        unfinished.rename(kept)
        self.start()

    def prepare(self) -> None:
        """Make its data.

        :raises LabError: when it is not installed, or does not
        """
        self._directory.mkdir(parents=True)
        programs.run(
            [
                'mariadb-install-db',
                '--no-defaults',
                '--user=root',
                f'--datadir={self._directory}',
                '--auth-root-authentication-method=normal',
                '--skip-test-db',
            ]
        )
        lines = [
            f'CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb3;'
            for name in SCHEMAS
        ]
        account = f"'{_USER}'@'%'"
        lines += [
            f'CREATE USER IF NOT EXISTS {account} '
            f"IDENTIFIED BY '{_PASSWORD}';",
            f'GRANT ALL ON *.* TO {account};',
        ]
        self._first_words.write_text('\n'.join([*lines, '']))

    def start(self) -> None:
        """Start it, and wait until it answers.

        :raises LabError: when it ends or is too slow
        """
        log = self._daemons.log('mariadb')
        told = log.stat().st_size if log.exists() else 0
        self._daemons.start(
            'mariadb',
            [
                'mariadbd',
                '--no-defaults',
                '--user=root',
                f'--datadir={self._directory}',
                f'--socket={self._directory}/socket',
                f'--pid-file={self._directory}/pid',
                f'--port={self._port}',
                f'--bind-address={self._address}',
                f'--init-file={self._first_words}',
                '--skip-log-bin',
                '--skip-name-resolve',
                '--performance-schema=off',
                '--innodb-buffer-pool-size=64M',
                # It need not outlive a loss of power.
                '--innodb-flush-log-at-trx-commit=0',
                '--max-connections=600',
            ],
        )
        waiting.until(
            lambda: _READY in log.read_bytes()[told:],
            'MariaDB to answer',
            runs=lambda: self._daemons.is_alive('mariadb'),
            said=lambda: self._daemons.last_words('mariadb'),
        )

    @property
    def _first_words(self) -> pathlib.Path:
        return self._directory / 'init.sql'
