"""What a command did is told to people, or to programs in one document."""

import argparse
import io
import json
import types
import unittest

from kvm_balancer.cmd import action


class Paint(action.Action):
    """Paints a wall."""

    def add_arguments(self, parser):
        parser.add_argument('wall')

    def act(self, parsed_args):
        print('painting', file=self.progress_stream(parsed_args))
        self.exit_code = 3
        return {'wall': parsed_args.wall}


class ActionTest(unittest.TestCase):
    def run_with(self, *arguments):
        app = types.SimpleNamespace(stdout=io.StringIO(), stderr=io.StringIO())
        command = Paint(app, argparse.Namespace())
        code = command.run(command.get_parser('paint').parse_args(arguments))
        return code, app.stdout.getvalue(), app.stderr.getvalue()

    def test_people_are_told_on_standard_output_how_far_it_is(self):
        self.assertEqual((3, 'painting\n', ''), self.run_with('north'))

    def test_programs_get_one_document_and_nothing_else(self):
        code, out, err = self.run_with('north', '-f', 'json')
        self.assertEqual((3, 'painting\n'), (code, err))
        self.assertEqual({'wall': 'north'}, json.loads(out))
