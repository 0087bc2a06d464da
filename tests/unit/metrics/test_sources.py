"""Figures from elsewhere: what is missing is missing."""

import unittest

from oslo_config import cfg
import requests_mock

from kvm_balancer import errors
from kvm_balancer.conf import opts
from kvm_balancer.messages import nova_notifications
from kvm_balancer.metrics import base
from kvm_balancer.metrics import nova
from kvm_balancer.metrics import prometheus
from kvm_balancer.service import plugins

URL = 'https://prometheus.example.com'


def conf_of(**changes):
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], project='kvm_balancer', default_config_files=[])
    for name, value in changes.items():
        conf.set_override(name, value, 'prometheus')
    return conf


def vector(label, **values):
    return {
        'status': 'success',
        'data': {
            'resultType': 'vector',
            'result': [
                {'metric': {label: name}, 'value': [1.0, value]}
                for name, value in values.items()
            ],
        },
    }


class NovaTest(unittest.TestCase):
    def told(self, at, share, host='cmp1'):
        self.source.take(nova_notifications.HostMetrics(host, at, share))

    def setUp(self):
        self.source = nova.NovaMetrics(max_age_seconds=100.0)

    def test_the_newest_counts_in_whatever_order_they_come(self):
        self.told(10.0, 0.5)
        self.told(5.0, 0.1)
        found = self.source.read(20.0)
        self.assertEqual(0.5, found.hosts['cmp1'].cpu_share)
        self.assertEqual({}, found.instances)

    def test_what_is_old_is_missing(self):
        self.told(10.0, 0.5)
        self.assertEqual({}, self.source.read(111.0).hosts)


class PrometheusTest(unittest.TestCase):
    def setUp(self):
        self.source = prometheus.Prometheus(
            prometheus.Params(
                URL,
                host_cpu_query='cpu',
                host_memory_query='memory',
                instance_cpu_query='cores',
            )
        )
        self.addCleanup(self.source.close)

    def read(self, **answers):
        def answer(request, _):
            query = request.text.split('query=')[1].split('&')[0]
            return answers.get(query, vector('instance'))

        with requests_mock.Mocker() as mock:
            mock.post(f'{URL}/api/v1/query', json=answer)
            return self.source.read(1000.0)

    def test_hosts_and_instances_are_named_by_labels(self):
        found = self.read(
            cpu=vector('instance', **{'cmp1:9100': '0.25', 'cmp2': '0.5'}),
            memory=vector('instance', **{'cmp1:9100': str(2**30)}),
            cores=vector('uuid', vm='1.5'),
        )
        self.assertEqual(
            {
                'cmp1': base.HostFigures(0.25, 1024.0),
                'cmp2': base.HostFigures(0.5, None),
            },
            found.hosts,
        )
        self.assertEqual({'vm': base.InstanceFigures(1.5)}, found.instances)

    def test_what_is_no_number_is_missing(self):
        found = self.read(
            cpu=vector('instance', a='NaN', b='+Inf', c='-1', d='1.5', e='x'),
            cores=vector('other', vm='1'),
        )
        self.assertEqual({'d': base.HostFigures(None)}, found.hosts)
        self.assertEqual({}, found.instances)

    def test_a_prometheus_that_does_not_answer_is_one_line(self):
        for answer in (
            {'status_code': 500, 'text': 'oops'},
            {'json': {'status': 'error', 'error': 'parse error'}},
            {'json': ['a list']},
        ):
            with self.subTest(answer), requests_mock.Mocker() as mock:
                mock.post(f'{URL}/api/v1/query', **answer)
                with self.assertRaises(errors.UnreachableError) as caught:
                    self.source.read(0.0)
                self.assertNotIn('\n', str(caught.exception))

    def test_a_url_that_is_none_is_refused(self):
        with self.assertRaisesRegex(
            errors.ConfigurationError, r'\[prometheus\] url'
        ):
            prometheus.Prometheus.from_conf(conf_of(url='prometheus:9090'))


class PluginsTest(unittest.TestCase):
    def test_sources_are_loaded_by_name(self):
        conf = conf_of(url=URL)
        conf.set_override('sources', ['nova', 'prometheus'], 'metrics')
        self.assertEqual(
            ['nova', 'prometheus'],
            [one.name for one in plugins.load_sources(conf)],
        )

    def test_a_source_that_nobody_knows_is_refused(self):
        conf = conf_of()
        conf.set_override('sources', ['collectd'], 'metrics')
        with self.assertRaisesRegex(errors.PluginError, 'collectd'):
            plugins.load_sources(conf)

    def test_the_first_source_that_knows_a_figure_has_it(self):
        found = base.merged(
            (
                base.Figures({'h': base.HostFigures(0.5)}),
                base.Figures(
                    {'h': base.HostFigures(0.9, 10.0)},
                    {'vm': base.InstanceFigures(1.0)},
                ),
            )
        )
        self.assertEqual(base.HostFigures(0.5, 10.0), found.hosts['h'])
        self.assertEqual(1.0, found.instances['vm'].cpu_usage)
