"""Karbor's application behind Karbor's own server, which reads the socket unchanged."""
import eventlet

eventlet.monkey_patch()

# Before anything of Karbor's is imported: messages are translated lazily only if asked this early.
from karbor import i18n  # noqa: E402

i18n.enable_lazy()

import eventlet.wsgi  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_service import service as oslo_service  # noqa: E402

from karbor import service  # noqa: E402

import karbor_app  # noqa: E402


def watch_unserved(records):
    """Notes requests that the server answers by itself: they came through the proxy like any other."""
    handle = eventlet.wsgi.HttpProtocol.handle_one_request

    def noted(self):
        self.environ = {}
        handle(self)
        if self.raw_requestline and 'oracle.served' not in self.environ:
            records.write({'unserved': self.raw_requestline[:200].decode('latin-1')})

    eventlet.wsgi.HttpProtocol.handle_one_request = noted


class Loader:
    """Gives Karbor's service the application that is already loaded."""

    def __init__(self, application):
        self.application = application

    def load_app(self, _name):
        return self.application


def main():
    records = karbor_app.records()
    application = karbor_app.make(records)
    watch_unserved(records)
    launcher = oslo_service.ServiceLauncher(cfg.CONF)
    launcher.launch_service(service.WSGIService('osapi_karbor', Loader(application)))
    launcher.wait()


if __name__ == '__main__':
    main()
