"""Karbor's own WSGI application, which notes each request it sees and what its controllers are called with.

Routing, parsing, validation and controllers are the installed release's, unchanged. Stood in for are only those behind
them: the protection service, the tables of plans and quotas, the question who may do what. One line of JSON per request
goes to the file named by ORACLE_RECORDS, and its number into the answer: so the other side knows whose answer it got.
"""
import gc
import itertools
import json
import logging as python_logging
import os
import uuid

from oslo_config import cfg
from oslo_log import log
from oslo_service import wsgi

from karbor import context, exception, objects, quota, rpc, version
from karbor.api.openstack import wsgi as api
from karbor.common import config  # noqa: F401
from karbor.services.protection import api as protection

import places

CREATE, UPDATE, COPY = 'create', 'update', 'copy'
# Method of a controller class → what a call of it is. No other makes or changes a checkpoint.
WATCHED = {
    ('ProvidersController', 'checkpoints_create'): CREATE,
    ('ProvidersController', 'checkpoints_update'): UPDATE,
    ('CopiesController', 'create'): COPY,
}
# What an authentication layer in front of Karbor would speak of the caller with.
IDENTITY = (
    'HTTP_X_USER_ID', 'HTTP_X_PROJECT_ID', 'HTTP_X_TENANT_ID', 'HTTP_X_ROLES', 'HTTP_X_ROLE', 'HTTP_X_USER_NAME',
    'HTTP_X_IDENTITY_STATUS', 'HTTP_X_SERVICE_ROLES', 'HTTP_X_IS_ADMIN_PROJECT')
CALLS = 'oracle.calls'


class ProtectionService:
    """Says yes to everything, and remembers nothing."""

    def list_providers(self, *_args, **_named):
        return [self.show_provider()]

    def show_provider(self, *_args, **_named):
        return {'id': places.PROVIDER, 'name': 'oracle', 'description': '', 'extended_info_schema': {}}

    def protect(self, _context, _plan, _properties):
        return str(uuid.uuid4())

    def copy(self, *_args, **_named):
        return []

    def list_checkpoints(self, *_args, **_named):
        return [self.show_checkpoint()]

    def show_checkpoint(self, *_args, **_named):
        return {'id': places.CHECKPOINT, 'project_id': places.PROJECT, 'status': 'available', 'extra_info': '{}'}

    def reset_state(self, *_args, **_named):
        pass

    def delete(self, *_args, **_named):
        pass


class Plan:
    """The one plan there is."""

    id, name, description, status = places.PLAN, 'plan', '', 'suspended'
    provider_id, project_id = places.PROVIDER, places.PROJECT

    def __init__(self):
        self.resources, self.parameters = [], {}

    def get(self, name, default=None):
        return getattr(self, name, default)


def find_plan(_context, plan_id, **_named):
    if plan_id != places.PLAN:
        raise exception.PlanNotFound(plan_id=plan_id)
    return Plan()


def stand_in():
    protection.API = ProtectionService
    objects.Plan.get_by_id = staticmethod(find_plan)
    objects.PlanList.get_all_by_project = staticmethod(lambda *_args, **_named: [])
    # Everybody may do everything without authentication; asking each time takes a fifth of it all.
    context.RequestContext.can = lambda *_args, **_named: True
    for name in 'reserve', 'commit', 'rollback':
        setattr(quota.QUOTAS, name, lambda *_args, **_named: [])


def watch_calls():
    dispatch = api.Resource.dispatch

    def noted(self, method, request, action_args):
        kind = WATCHED.get((type(self.controller).__name__, method.__name__))
        if kind:
            request.environ[CALLS].append({'kind': kind, 'bodiless': 'body' not in action_args,
                                           'body': action_args.get('body')})
        return dispatch(self, method, request, action_args)

    api.Resource.dispatch = noted


class Records:
    """The file of records. A write is one line, so that several processes may share it."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, record):
        try:
            line = json.dumps(record)
        except RecursionError:
            # Only who nests deeper than anybody judges gets here.
            for call in record['calls']:
                call['body'] = 'too deep to be written'
            line = json.dumps(record)
        os.write(self.file, line.encode() + b'\n')


class Recorder:
    """The application, with each request noted before its answer leaves."""

    def __init__(self, application, records):
        self.application = application
        self.records = records
        self.numbers = itertools.count(1)
        self.process = os.getpid()

    def __call__(self, environ, start_response):
        number = '%d.%d' % (self.process, next(self.numbers))
        calls = environ[CALLS] = []
        status = ['none']

        def start(line, headers, *more):
            status[0] = line[:3]
            return start_response(line, headers + [('X-Oracle', '%s %s' % (number, line[:3]))], *more)

        try:
            return self.application(environ, start)
        except Exception:
            # Servers answer this by themselves, each in its way, and would not say for which request.
            start('500 Internal Server Error', [('Content-Length', '0')])
            return []
        finally:
            environ['oracle.served'] = True
            self.records.write({
                'number': number, 'probe': environ.get('HTTP_X_PROBE'), 'method': environ['REQUEST_METHOD'],
                'path': environ['PATH_INFO'], 'status': status[0], 'calls': calls,
                'identity': [name for name in IDENTITY if name in environ]})


def records():
    return Records(os.environ['ORACLE_RECORDS'])


def make(written):
    """Karbor's application as its own server would load it, recording."""
    objects.register_all()
    cfg.CONF(['--config-file', os.environ['ORACLE_CONFIGURATION']], project='karbor', version=version.version_string())
    log.setup(cfg.CONF, 'karbor')
    python_logging.disable(python_logging.CRITICAL)
    rpc.init(cfg.CONF)
    stand_in()
    watch_calls()
    application = wsgi.Loader(cfg.CONF).load_app('osapi_karbor')
    # A tenth faster: looking for cycles again and again in all of Karbor costs that.
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    return Recorder(application, written)
