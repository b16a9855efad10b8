"""Ways to ask: the official client's command, plain HTTP, and bytes on a socket.

Knows how answers look, not which are right.
"""
import ast
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import urllib.parse

IMAGE = '7c0c4a52-93b5-4a3e-b6f5-5d7d7b1f0001'

_FAULT = re.compile(r'(.*) \(HTTP (\d{3})\)(?: \(Request-ID: (req-[^)]*)\))?', re.S)


class Run:
    """What one command of the official client printed, and its exit code."""

    def __init__(self, done):
        self.exit, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __str__(self):
        return f'exit {self.exit}, printed {(self.err or self.out).strip()[:600]!r}'

    def property(self, name):
        """The value beside `name` in the table it printed."""
        found = re.search(rf'^\| {re.escape(name)} +\| (.*?) +\|$', self.out, re.M)
        return found and found[1]

    def fault(self):
        """(message, status, request id) if it printed a fault, as the bytes literal that it makes of one."""
        try:
            found = _FAULT.fullmatch(ast.literal_eval(self.err.strip()).decode('ascii'))
        except (SyntaxError, ValueError, AttributeError):
            return None
        return found and (found[1], int(found[2]), found[3])


class Cli:
    """The `karbor` command for one tenant, with Karbor said to be at `base`."""

    def __init__(self, base, tenant, token):
        self.argv = [os.path.join(sys.prefix, 'bin', 'karbor'), '--os-no-client-auth', '--os-auth-token', token,
                     '--os-project-id', tenant, '--karbor-url', f'{base}/v1/{tenant}']

    def __call__(self, *argv):
        return Run(subprocess.run([*self.argv, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, universal_newlines=True, timeout=60))


class Answer:
    """An HTTP answer, read whole."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __str__(self):
        return f'status {self.status}, body {self.body[:400]!r}'

    def json(self):
        return json.loads(self.body)

    def fault(self):
        """(fault name, message) if it is a fault that the official client can read."""
        if self.headers.get('Content-Type', '').split(';')[0] != 'application/json':
            return None
        try:
            name, fault = next(iter(self.json().items()))
            return (name, fault['message']) if fault['code'] == self.status else None
        except (ValueError, AttributeError, KeyError, TypeError, StopIteration):
            return None

    def request_id(self):
        return self.headers.get('X-Openstack-Request-Id')


def http_request(url, method, token, body=None, headers=None):
    """One request on a connection of its own. A body that is no bytes is sent as JSON; an iterator is sent chunked."""
    where = urllib.parse.urlsplit(url)
    sent = {'X-Auth-Token': token}
    if body is not None:
        sent['Content-Type'] = 'application/json'
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    sent.update(headers or {})
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    try:
        connection.request(method, where.path + ('?' + where.query if where.query else ''), body, sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def _read_answer(stream):
    line = stream.readline(65536)
    if not line:
        return None
    status = int(line.split(None, 2)[1])
    headers = http.client.parse_headers(stream)
    body = b''
    if status < 200 or status in (204, 304):
        pass
    elif headers.get('Transfer-Encoding', '').lower() == 'chunked':
        while True:
            size = int(stream.readline(64).split(b';')[0], 16)
            piece = stream.read(size + 2)[:-2]
            body += piece
            if size == 0:
                break
    elif 'Content-Length' in headers:
        body = stream.read(int(headers['Content-Length']))
    else:
        body = stream.read()
    return Answer(status, headers, body)


def raw(address, data, idle=3):
    """Sends these bytes; every answer until the other side closes or says nothing for `idle` seconds."""
    answers = []
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(data)
        connection.settimeout(idle)
        with connection.makefile('rb') as stream:
            try:
                while True:
                    answer = _read_answer(stream)
                    if answer is None:
                        return answers
                    answers.append(answer)
            except (socket.timeout, ConnectionResetError):
                return answers
