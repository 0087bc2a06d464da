"""What the services of a cloud find when they begin: tables, keys, a catalog.

The tables are made once and kept, for they take longer than all the rest.
"""

import collections.abc
import concurrent.futures
import pathlib
import typing

from kvm_balancer.lab import programs
from tests.openstack.lab import configuration
from tests.openstack.lab import database
from tests.openstack.lab import environment

#: Where Nova's cells are, by its own configuration.
_SERVER = '{scheme}://{username}:{password}@{hostname}:{port}'
_CELL_0 = f'{_SERVER}/nova_cell0'
_CELL_1 = f'{_SERVER}/nova_cell1'
_TRANSPORT = f'{_SERVER}/{{path}}'


class Foundation:
    """Lays it, by the commands of the services themselves.

    :param directory: of their programs
    """

    def __init__(
        self,
        directory: pathlib.Path,
        files: configuration.Configuration,
        server: database.Database,
    ) -> None:
        self._bin = directory
        self._files = files
        self._database = server

    def start_database(self) -> None:
        """Start it with all tables; they are made once and kept."""
        kept = environment.schemas()
        with environment.alone():
            if not kept.exists():
                self._database.prepare()
                self._database.start()
                self._make_schemas()
                self._database.keep(kept)
                return
        self._database.copy(kept)
        self._database.start()

    def _make_schemas(self) -> None:
        """Make all tables; the services do not depend on each other."""
        nova = self._commands('nova-manage', 'nova.conf')
        with concurrent.futures.ThreadPoolExecutor() as pool:
            made = [
                pool.submit(
                    self._commands('keystone-manage', 'keystone.conf'),
                    'db_sync',
                ),
                pool.submit(
                    self._commands('placement-manage', 'placement.conf'),
                    'db sync',
                ),
                # Cells keep where databases and broker are in other words,
                # so that the tables serve any laboratory.
                pool.submit(
                    nova,
                    'api_db sync',
                    f'cell_v2 map_cell0 --database_connection {_CELL_0}',
                    f'cell_v2 create_cell --name cell1 '
                    f'--database_connection {_CELL_1} '
                    f'--transport-url {_TRANSPORT}',
                    'db sync',
                ),
            ]
            for one in made:
                one.result()

    def bootstrap(self) -> None:
        """Give Keystone its keys and its administrator."""
        auth_url = self._files.auth_url
        self._commands('keystone-manage', 'keystone.conf')(
            'fernet_setup --keystone-user root --keystone-group root',
            'credential_setup --keystone-user root --keystone-group root',
            f'bootstrap --bootstrap-password {configuration.PASSWORD} '
            f'--bootstrap-region-id {configuration.REGION} '
            f'--bootstrap-public-url {auth_url} '
            f'--bootstrap-internal-url {auth_url} '
            f'--bootstrap-admin-url {auth_url}',
        )

    def _commands(
        self, program: str, file: str
    ) -> collections.abc.Callable[..., None]:
        """Return what runs commands of a program, one after another."""
        begin = [
            str(self._bin / program),
            f'--config-file={self._files.etc / file}',
        ]

        def run(*commands: str) -> None:
            for command in commands:
                programs.run([*begin, *command.split()])

        return run

    def fill_catalog(self, identity: typing.Any) -> None:
        """Tell Keystone who serves the APIs, and where they are.

        :param identity: Keystone as openstacksdk shows it to administrators
        """
        project = identity.create_project(name='service', domain_id='default')
        user = identity.create_user(
            name='nova',
            password=configuration.PASSWORD,
            domain_id='default',
            default_project_id=project.id,
        )
        for role in identity.roles():
            if role.name in ('admin', 'service'):
                identity.assign_project_role_to_user(project, user, role)
        for kind, name, url in configuration.endpoints(self._files):
            service = identity.create_service(type=kind, name=name)
            for interface in ('public', 'internal'):
                identity.create_endpoint(
                    service_id=service.id,
                    interface=interface,
                    url=url,
                    region_id=configuration.REGION,
                )
