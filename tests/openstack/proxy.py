"""A proxy in front of Nova's API, through which everything can go wrong."""

import contextlib
import http.client
import http.server
import re
import threading

from tests.fixtures import http_faults

#: Longer than any client here waits.
_HANG_SECONDS = 300.0
_PATIENCE_SECONDS = 300.0
#: What is between two hops, and not passed on.
_HOP = {'connection', 'keep-alive', 'transfer-encoding', 'content-length'}


class Proxy:
    """Passes requests on to an API, and remembers them.

    :param address: host and port of the API
    :ivar faults: of the kinds ``status`` instead of asking, ``drop`` before it
        is asked, ``lose`` the answer, ``hang`` after it was asked, and
        ``expire`` the token
    """

    def __init__(self, address):
        self.address = address
        self.faults = []
        self.lock = threading.Lock()
        #: method and path of what was asked, and of what reached the API
        self.asked = []
        self.passed = []
        self._over = threading.Event()

    def count(self, where, method, path):
        with self.lock:
            return sum(
                1
                for one in where
                if one[0] == method and re.search(path, one[1])
            )

    @property
    def url(self):
        return f'http://127.0.0.1:{self._server.server_address[1]}'

    @contextlib.contextmanager
    def serving(self):
        """Pass on for the time of a block."""
        handler = type('Handler', (_Handler,), {'proxy': self})
        self._server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), handler
        )
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever).start()
        try:
            yield self
        finally:
            self._over.set()
            self._server.shutdown()
            self._server.server_close()

    def fault_for(self, method, path):
        with self.lock:
            self.asked.append((method, path))
            return http_faults.take(self.faults, method, path)

    def pass_on(self, method, path, headers, body):
        """Ask the API; return status, headers and body of its answer."""
        with self.lock:
            self.passed.append((method, path))
        there = http.client.HTTPConnection(
            self.address, timeout=_PATIENCE_SECONDS
        )
        with contextlib.closing(there):
            there.request(method, path, body, headers)
            answer = there.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def hang(self):
        """Wait for longer than anybody waits for an answer."""
        self._over.wait(_HANG_SECONDS)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    proxy: Proxy

    def _handle(self):
        length = int(self.headers.get('Content-Length') or 0)
        body = self.rfile.read(length) if length else None
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {*_HOP, 'host'}
        }
        fault = self.proxy.fault_for(self.command, self.path)
        kind = fault.kind if fault else ''
        if kind == 'status':
            self._send(fault.status, [], b'{"x": {"message": "a fault"}}')
            return
        if kind == 'expire':
            headers['X-Auth-Token'] = 'expired'
        answer = None
        if kind != 'drop':
            with contextlib.suppress(OSError):
                answer = self.proxy.pass_on(
                    self.command, self.path, headers, body
                )
        if kind == 'hang':
            self.proxy.hang()
        if kind in ('drop', 'lose', 'hang') or answer is None:
            self.close_connection = True
            self.connection.close()
            return
        self._send(*answer)

    def do_GET(self):
        self._handle()

    def do_POST(self):
        self._handle()

    def do_PUT(self):
        self._handle()

    def do_DELETE(self):
        self._handle()

    def _send(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""
