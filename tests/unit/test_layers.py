"""The layers of the architecture, held by reading the imports.

``cmd, api -> service -> {bus, virt, store, coordination} -> messages ->
policies -> planner -> {filters, weighers, migration} -> model``: imports
point right. Packages that stand between the same arrows never import each
other.
"""

import ast
import dataclasses
import pathlib
import unittest

_PACKAGE = 'kvm_balancer'
_ROOT = pathlib.Path(__file__).resolve().parents[2] / _PACKAGE

_ORDER = (
    {'cmd', 'api'},
    {'service', 'nova_scheduler'},
    {'bus', 'virt', 'store', 'coordination', 'metrics'},
    {'messages'},
    {'policies'},
    {'planner'},
    {'filters', 'weighers', 'migration'},
    {'model'},
)
_EVERYONE = {'errors'}
_PURE = {
    'model',
    'filters',
    'weighers',
    'migration',
    'planner',
    'policies',
    'messages',
}
_MAY_READ_OPTIONS = {'cmd', 'api', 'service'}

# A pure package has no clock, thread, socket, file nor global configuration.
_IMPURE_MODULES = {
    'asyncio',
    'concurrent',
    'glob',
    'importlib',
    'io',
    'multiprocessing',
    'os',
    'oslo_concurrency',
    'oslo_config',
    'oslo_service',
    'pathlib',
    'queue',
    'secrets',
    'select',
    'shutil',
    'signal',
    'socket',
    'stevedore',
    'subprocess',
    'sys',
    'tempfile',
    'threading',
    'time',
}
_IMPURE_CALLS = {
    'datetime.now',
    'datetime.utcnow',
    'datetime.today',
    'date.today',
    'timeutils.utcnow',
    'uuid.uuid1',
    'uuid.uuid4',
    'uuidutils.generate_uuid',
}
# What is not drawn from a generator that was made from a seed.
_RANDOM = {'random', 'np.random', 'numpy.random'}
_SEEDED = {'Random', 'Generator', 'SeedSequence', 'PCG64', 'default_rng'}

# Libraries that one package alone knows; conf registers options of some.
_OWNERS = {
    'alembic': ('store',),
    'amqp': ('bus',),
    'cliff': ('cmd',),
    'cryptography': ('virt.libvirt',),
    'keystoneauth1': ('virt.nova',),
    'kombu': ('bus',),
    # The lab plays the operator: it defines and starts guests of its own.
    'libvirt': ('virt.libvirt', 'lab'),
    'libvirt_qemu': ('virt.libvirt',),
    'matplotlib': ('cmd',),
    'openstack': ('virt.nova',),
    'oslo_db': ('store', 'conf'),
    'oslo_messaging': ('bus', 'conf'),
    'psutil': ('virt',),
    'requests': ('metrics',),
    'rich': ('cmd',),
    'sqlalchemy': ('store',),
    # A laboratory makes the files of older releases.
    'sqlite3': ('store', 'lab'),
    'tooz': ('coordination',),
    'webob': ('api',),
}


@dataclasses.dataclass(frozen=True)
class _Module:
    """A module by its dotted name inside the package, and its source."""

    name: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.name.split('.')[0]

    def imports(self) -> set[str]:
        """Return the dotted names of everything that is imported.

        The deprecated relative form is told by a leading dot.
        """
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = '.' * node.level + (node.module or '')
                found |= {f'{base}.{alias.name}' for alias in node.names}
        return found

    def packages(self) -> set[str]:
        """Return what is imported of the project, without its own name."""
        prefix = f'{_PACKAGE}.'
        return {
            name.removeprefix(prefix)
            for name in self.imports()
            if name.startswith(prefix)
        }

    def calls(self) -> list[ast.Call]:
        return [n for n in ast.walk(self.tree) if isinstance(n, ast.Call)]


def _modules() -> list[_Module]:
    return [
        _Module(
            '.'.join(path.relative_to(_ROOT).with_suffix('').parts),
            ast.parse(path.read_text(), str(path)),
        )
        for path in sorted(_ROOT.rglob('*.py'))
    ]


def _inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f'{package}.')


def _may_import(package: str) -> set[str]:
    """Return the packages that *package* may import."""
    right: set[str] = set()
    for packages in reversed(_ORDER):
        if package in packages:
            break
        right |= packages
    else:
        right = set()
    allowed = {
        # A default is told once, by what it is a default of.
        'conf': _PURE,
        'simulation': _PURE | {'virt.simulated', 'virt.driver'},
        'lab': _PURE,
    }.get(package, right)
    if package in _MAY_READ_OPTIONS:
        allowed = allowed | {'conf'}
    if package == 'cmd':
        allowed = allowed | {'lab', 'simulation'}
    return allowed | _EVERYONE | {package, 'version'}


def _wrong_directions(module: _Module) -> list[str]:
    allowed = _may_import(module.package)
    return [
        f'{module.name} imports {name}'
        for name in sorted(module.packages())
        if not any(_inside(name, package) for package in allowed)
    ]


def _foreign_libraries(module: _Module) -> list[str]:
    return [
        f'{module.name} imports {name}'
        for name in sorted(module.imports())
        for owners in (_OWNERS.get(name.split('.')[0]),)
        if owners and not any(_inside(module.name, owner) for owner in owners)
    ]


def _impure_imports(module: _Module) -> list[str]:
    return [
        f'{module.name} imports {name}'
        for name in sorted(module.imports())
        if name.split('.')[0] in _IMPURE_MODULES
    ]


def _is_impure(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name == 'open':
        return True
    if any(name == bad or name.endswith(f'.{bad}') for bad in _IMPURE_CALLS):
        return True
    base, _, function = name.rpartition('.')
    if base not in _RANDOM:
        return False
    return function not in _SEEDED or not (call.args or call.keywords)


def _impure_calls(module: _Module) -> list[str]:
    return [
        f'{module.name}:{call.lineno} calls {ast.unparse(call.func)}'
        for call in module.calls()
        if _is_impure(call)
    ]


def _global_configuration(module: _Module) -> list[str]:
    uses = [
        f'{module.name}:{node.lineno} uses the global CONF'
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and node.attr == 'CONF'
        and ast.unparse(node.value).split('.')[-1] == 'cfg'
    ]
    imported = [
        f'{module.name} imports {name}'
        for name in module.imports()
        if name == 'oslo_config.cfg.CONF'
    ]
    return uses + imported


class LayersTest(unittest.TestCase):
    maxDiff = None

    def test_every_module_has_its_package(self):
        """A new package is given its place in the order before it is used."""
        known = set().union(*_ORDER, _EVERYONE)
        known |= {'__init__', 'version', 'conf', 'lab', 'simulation'}
        self.assertEqual(set(), {m.package for m in _modules()} - known)

    def test_imports_point_right(self):
        """No package imports one to its left, nor one beside it."""
        self.assertEqual(
            [], [line for m in _modules() for line in _wrong_directions(m)]
        )

    def test_imports_are_absolute(self):
        """Every import tells the whole path."""
        relative = [
            f'{module.name} imports {name}'
            for module in _modules()
            for name in module.imports()
            if name.startswith('.')
        ]
        self.assertEqual([], relative)

    def test_libraries_stay_in_their_packages(self):
        """Only the package that translates a library's errors imports it."""
        self.assertEqual(
            [], [line for m in _modules() for line in _foreign_libraries(m)]
        )

    def test_pure_packages_are_pure(self):
        """A pure package has no clock, thread, socket, file nor dice."""
        packages = _PURE | {'simulation'}
        pure = [m for m in _modules() if m.package in packages]
        self.assertEqual([], [x for m in pure for x in _impure_imports(m)])
        self.assertEqual([], [x for m in pure for x in _impure_calls(m)])

    def test_configuration_is_passed_in(self):
        """No module uses the configuration object of the process."""
        self.assertEqual(
            [],
            [line for m in _modules() for line in _global_configuration(m)],
        )


class ReadingTest(unittest.TestCase):
    """The reader itself: what breaks a rule is found."""

    def test_breaches_are_found(self):
        """Each rule finds a module that breaks it, and passes one beside."""
        table = (
            (_wrong_directions, 'bus.a', 'import kvm_balancer.store.b', 1),
            (_wrong_directions, 'bus.a', 'from kvm_balancer import store', 1),
            (_wrong_directions, 'bus.a', 'from kvm_balancer import model', 0),
            (_wrong_directions, 'model.a', 'import kvm_balancer.planner', 1),
            (_wrong_directions, 'store.a', 'import kvm_balancer.conf.b', 1),
            (_wrong_directions, 'service.a', 'import kvm_balancer.conf.b', 0),
            (_wrong_directions, 'service.a', 'import kvm_balancer.lab.b', 1),
            (_wrong_directions, 'cmd.a', 'import kvm_balancer.lab.b', 0),
            (_wrong_directions, 'simulation.a', 'import kvm_balancer.bus', 1),
            (_wrong_directions, 'api.a', 'import kvm_balancer.cmd.b', 1),
            (_foreign_libraries, 'virt.driver', 'import libvirt', 1),
            (_foreign_libraries, 'virt.libvirt.driver', 'import libvirt', 0),
            (_foreign_libraries, 'lab.a', 'from kombu import pools', 1),
            (_impure_imports, 'model.a', 'from time import monotonic', 1),
            (_impure_imports, 'model.a', 'import dataclasses', 0),
            (_impure_calls, 'model.a', 'datetime.datetime.now()', 1),
            (_impure_calls, 'model.a', 'np.random.default_rng()', 1),
            (_impure_calls, 'model.a', 'np.random.default_rng(seed)', 0),
            (_impure_calls, 'model.a', 'random.random()', 1),
            (_impure_calls, 'model.a', 'open("fleet")', 1),
            (_global_configuration, 'cmd.a', 'cfg.CONF.agent', 1),
            (_global_configuration, 'cmd.a', 'conf.agent', 0),
        )
        for rule, name, source, expected in table:
            with self.subTest(name=name, source=source):
                module = _Module(name, ast.parse(source))
                self.assertEqual(expected, len(rule(module)))
