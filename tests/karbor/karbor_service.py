"""Karbor's API, protection service and operation engine in one process: `karbor_service.py --config-file FILE`.

The services are the installed release's own, unchanged on disk. Stood in for are only its neighbours: the message
bus (in-process, by configuration), Keystone, Glance, and the copy step that its no-op protection plugin lacks.
"""
import eventlet

eventlet.monkey_patch()

# Before anything of Karbor's is imported: messages are translated lazily only if asked this early.
from karbor import i18n  # noqa: E402

i18n.enable_lazy()

import os  # noqa: E402
import sys  # noqa: E402
import types  # noqa: E402

from oslo_config import cfg  # noqa: E402
from oslo_log import log  # noqa: E402
from oslo_service import service as oslo_service  # noqa: E402

from karbor import objects, rpc, service, version  # noqa: E402
from karbor.common import config, karbor_keystone_plugin  # noqa: E402,F401
from karbor.services.protection.protectable_plugins import image  # noqa: E402
from karbor.services.protection.protection_plugins import noop_plugin  # noqa: E402


class Keystone:
    """What the operation engine asks of Keystone: a trust, a token by it, and where Karbor's API is.

    Without authentication a token is `USER:PROJECT`; the trust's id is that token.
    """

    def create_trust_to_karbor(self, context):
        return '%s:%s' % (context.user_id, context.project_id)

    def delete_trust_to_karbor(self, trust_id):
        pass

    def create_trust_session(self, trust_id):
        return types.SimpleNamespace(get_token=lambda: trust_id)

    def get_service_endpoint(self, *args, **kwargs):
        return os.environ['ENGINE_ENDPOINT']


def glance(plugin, context):
    """A Glance in which every image exists."""
    def find(image_id):
        return types.SimpleNamespace(id=image_id, name='an image', status='active', owner=None)

    return types.SimpleNamespace(images=types.SimpleNamespace(get=find, list=lambda: []))


def stand_in():
    karbor_keystone_plugin.KarborKeystonePlugin = Keystone
    image.ImageProtectablePlugin._glance_client = glance
    noop_plugin.NoopProtectionPlugin.get_copy_operation = lambda self, resource: noop_plugin.NoopOperation()


def main():
    objects.register_all()
    cfg.CONF(sys.argv[1:], project='karbor', version=version.version_string())
    log.setup(cfg.CONF, 'karbor')
    rpc.init(cfg.CONF)
    stand_in()
    launcher = oslo_service.ServiceLauncher(cfg.CONF)
    for binary in 'karbor-protection', 'karbor-operationengine':
        launcher.launch_service(service.Service.create(binary=binary))
    launcher.launch_service(service.WSGIService('osapi_karbor'))
    launcher.wait()


if __name__ == '__main__':
    main()
