"""What Nova asks Glance and Neutron for: neighbours.py HOST:PORT IMAGES

One image that is empty, and those in the directory IMAGES, each with a file
UUID.json of what is known of it; no networks. Run by the interpreter of the
services.
"""

import json
import pathlib
import re
import sys

import waitress

_MOMENT = '2026-01-01T00:00:00Z'
_TEXT = {'type': ['null', 'string']}
_NUMBER = {'type': ['null', 'integer']}

IMAGE = {
    'id': '11111111-1111-4111-8111-111111111111',
    'name': 'empty',
    'status': 'active',
    'visibility': 'public',
    'container_format': 'bare',
    'disk_format': 'raw',
    'size': 0,
    'min_disk': 0,
    'min_ram': 0,
    'protected': False,
    'tags': [],
    'checksum': 'd41d8cd98f00b204e9800998ecf8427e',
    'owner': None,
    'virtual_size': None,
    'created_at': _MOMENT,
    'updated_at': _MOMENT,
    'file': '/v2/images/x/file',
    'schema': '/v2/schemas/image',
}
_SCHEMA = {
    'name': 'image',
    'additionalProperties': {'type': 'string'},
    'properties': {
        **{key: _TEXT for key in IMAGE},
        **{key: _NUMBER for key in ('size', 'virtual_size')},
        **{key: _NUMBER for key in ('min_disk', 'min_ram')},
        'disk_format': {**_TEXT, 'enum': ['raw', 'qcow2']},
        'tags': {'type': 'array', 'items': {'type': 'string'}},
        'protected': {'type': 'boolean'},
    },
}


def _version(number, url):
    return {
        'versions': [
            {
                'id': number,
                'status': 'CURRENT',
                'links': [{'rel': 'self', 'href': url}],
            }
        ]
    }


def images():
    """Return all images by their ids."""
    found = {IMAGE['id']: IMAGE}
    for path in pathlib.Path(sys.argv[2]).glob('*.json'):
        found[path.stem] = IMAGE | json.loads(path.read_text())
    return found


def glance(path, host):
    """Return what Glance answers to a question; None for nothing."""
    there = images()
    if path in ('', '/', '/versions'):
        return _version('v2.9', f'http://{host}/image/v2/')
    return {
        '/v2/schemas/image': _SCHEMA,
        '/v2/images': {
            'images': list(there.values()),
            'schema': '/v2/schemas/images',
            'first': '/v2/images',
        },
        **{f'/v2/images/{uid}': known for uid, known in there.items()},
    }.get(path)


def neutron(path, host):
    """Return what Neutron answers to a question; None for nothing."""
    if path in ('', '/'):
        return _version('v2.0', f'http://{host}/network/v2.0/')
    asked = path.removeprefix('/v2.0/').removesuffix('.json').strip('/')
    if asked == 'extensions':
        names = ('binding', 'binding-extended')
        return {
            'extensions': [
                {
                    'alias': name,
                    'name': name,
                    'description': '',
                    'links': [],
                    'updated': _MOMENT,
                }
                for name in names
            ]
        }
    if asked.startswith('quotas'):
        return {'quota': {'port': -1, 'network': -1}}
    if re.fullmatch(r'[a-z-]+', asked):
        return {asked.replace('-', '_'): []}
    return None


def content(path):
    """Return what is in an image; None where another thing is asked for."""
    asked = re.fullmatch(r'/image/v2/images/([0-9a-f-]+)/file', path)
    file = asked and pathlib.Path(sys.argv[2], f'{asked[1]}.qcow2')
    return file.read_bytes() if file and file.exists() else None


def application(environment, start):
    """Answer one request."""
    path, host = environment['PATH_INFO'], environment['HTTP_HOST']
    data = content(path)
    if data is not None:
        start(
            '200 OK',
            [
                ('Content-Type', 'application/octet-stream'),
                ('Content-Length', str(len(data))),
            ],
        )
        return [data]
    found = None
    if environment['REQUEST_METHOD'] == 'GET':
        for prefix, ask in (('/image', glance), ('/network', neutron)):
            if path.startswith(prefix):
                found = ask(path.removeprefix(prefix), host)
    status = '404 Not Found' if found is None else '200 OK'
    body = json.dumps(found or {'error': f'nothing at {path}'}).encode()
    start(
        status,
        [
            ('Content-Type', 'application/json'),
            ('Content-Length', str(len(body))),
        ],
    )
    return [body]


if __name__ == '__main__':
    waitress.serve(application, listen=sys.argv[1], threads=4)
