"""Passes bytes on between a proxy and Karbor, and can keep Karbor's answer to a creation back. Reads as little as that
needs: where a request begins with POST to a collection of checkpoints.
"""
import contextlib
import socket
import threading

_BYTES = 65536


class Held:
    """An answer of Karbor's that is kept back."""

    def __init__(self):
        self.here, self.go = threading.Event(), threading.Event()
        # Called when the answer has gone on to the proxy.
        self.gone = threading.Event()


class Relay:
    """Listens on a loopback port of its own, for as long as this program runs."""

    def __init__(self, karbor):
        self._karbor = karbor
        self._held = None
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def holding(self):
        """Within it, the next answer to a creation waits for `go`."""
        held = self._held = Held()
        try:
            yield held
        finally:
            self._held = None
            held.go.set()

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(('127.0.0.1', self._karbor), timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        creations = []
        threading.Thread(target=self._requests, args=(client, server, creations), daemon=True).start()
        self._answers(client, server, creations)

    @staticmethod
    def _requests(client, server, creations):
        with contextlib.suppress(OSError):
            while True:
                data = client.recv(_BYTES)
                if not data:
                    break
                line = data.split(b'\r\n', 1)[0].split(b' ')
                if line[0] == b'POST' and len(line) == 3 and line[1].endswith(b'/checkpoints'):
                    creations.append(line[1])
                server.sendall(data)
        # A proxy that is gone has Karbor's answer go nowhere, and the other half must not wait for more.
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answers(self, client, server, creations):
        with contextlib.suppress(OSError), client, server:
            while True:
                data = server.recv(_BYTES)
                if not data:
                    return
                held = self._held if creations else None
                creations.clear()
                if held:
                    held.here.set()
                    held.go.wait(60)
                try:
                    client.sendall(data)
                finally:
                    if held:
                        held.gone.set()
