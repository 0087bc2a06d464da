"""Load documents: what is read, what is refused, and why."""

import gzip
import unittest

from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from kvm_balancer import errors
from kvm_balancer.messages import load_document

HEADER = 'instance,second,cpu_usage'


class DecodeTest(unittest.TestCase):
    def test_rows_of_an_instance_come_together(self):
        found = load_document.decode(
            f'{HEADER}\na,0,1\nb,0,2\na,300,3\n'.encode()
        )
        self.assertEqual(('a', 'b'), found.name)
        self.assertEqual([0, 2, 3], found.offset.tolist())
        self.assertEqual([0, 300, 0], found.second.tolist())
        self.assertEqual([1, 3, 2], found.cpu_usage.tolist())
        self.assertTrue(np.isnan(found.memory_usage_mib).all())

    def test_columns_have_any_order_and_may_be_empty(self):
        found = load_document.decode(
            b'x,cpu_usage,memory_usage_mib,instance,second\n'
            b'?,1,512,a,0\n?,2,,a,60\n'
        )
        self.assertEqual([1, 2], found.cpu_usage.tolist())
        self.assertEqual(512, found.memory_usage_mib[0])
        self.assertTrue(np.isnan(found.memory_usage_mib[1]))

    def test_gzip_is_read(self):
        text = f'{HEADER}\na,0,1\n'.encode()
        found = load_document.decode(gzip.compress(text))
        self.assertEqual(('a',), found.name)

    def test_what_is_wrong_is_named(self):
        table = (
            (b'', 'line 1: there is no column instance'),
            (b'instance,second\n', 'there is no column cpu_usage'),
            (HEADER.encode(), 'it has no rows'),
            (f'{HEADER}\na,0\n'.encode(), 'line 2: has 2 columns'),
            (f'{HEADER}\na,0,x\n'.encode(), "line 2: cpu_usage: is 'x'"),
            (f'{HEADER}\na,0,nan\n'.encode(), "cpu_usage: is 'nan'"),
            (f'{HEADER}\na,0,-1\n'.encode(), "cpu_usage: is '-1'"),
            (f'{HEADER}\na,inf,1\n'.encode(), "second: is 'inf'"),
            (f'{HEADER}\n ,0,1\n'.encode(), 'line 2: instance: is empty'),
            (f'{HEADER}\na,9,1\na,9,1\n'.encode(), 'a: second: 9 comes after'),
            (b'\x1f\x8b broken', 'not gzip'),
            (b'\xff\xfe', 'it is not text'),
        )
        for document, expected in table:
            with self.subTest(document=document):
                with self.assertRaises(errors.DocumentError) as caught:
                    load_document.decode(document)
                self.assertIn(expected, str(caught.exception))
                self.assertNotIn('\n', str(caught.exception))

    @given(st.binary(max_size=200))
    def test_any_bytes_are_read_or_refused(self, document):
        for one in (document, HEADER.encode() + b'\n' + document):
            try:
                load_document.decode(one)
            except errors.DocumentError:
                continue


class EncodeTest(unittest.TestCase):
    @given(
        st.lists(
            st.tuples(
                st.text('ab,"é', min_size=1),
                st.floats(0, 500),
            ),
            min_size=1,
        )
    )
    def test_what_is_written_can_be_read(self, rows):
        written = [
            (name, 300.0 * place, usage)
            for place, (name, usage) in enumerate(rows)
        ]
        found = load_document.decode(load_document.encode(written))
        self.assertEqual({name for name, _ in rows}, set(found.name))
        self.assertAlmostEqual(
            sum(usage for _, usage in rows),
            float(found.cpu_usage.sum()),
            delta=1e-3 * sum(usage for _, usage in rows) + 1e-3,
        )
