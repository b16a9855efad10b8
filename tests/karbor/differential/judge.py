"""The second judge: whether the shipped policy would have denied what one of Karbor's controllers was given.

Written from docs/rules.md, not from the proxy's code, and kept so simple that it can be checked by reading.
"""
import re

ENTRIES, KEY_BYTES, VALUE_BYTES, TOTAL_BYTES = 64, 255, 1024, 16384

NAME = r'[A-Za-z0-9_:.#-](?:[A-Za-z0-9_:.# -]*[A-Za-z0-9_:.#-])?'
KEY = re.compile(
    r'karbor-(?:created-by|trigger-id|scheduled-operation-id)'
    r'|created_by|trigger_id|scheduled_operation_id'
    r'|x-[a-z0-9]+(?:[-._][a-z0-9]+)*--' + NAME)


def objection(call):
    """Why this call must not have happened, or None."""
    if call['kind'] == 'create':
        return object_to_create(call['body'])
    if call['kind'] == 'update':
        return object_to_update(call['body'])
    return None


def object_to_create(body):
    if not isinstance(body, dict) or set(body) != {'checkpoint'}:
        return 'the body is not one checkpoint'
    checkpoint = body['checkpoint']
    if not isinstance(checkpoint, dict) or not set(checkpoint) <= {'plan_id', 'extra-info'}:
        return 'the checkpoint has unknown members'
    entries = checkpoint.get('extra-info')
    if entries is None:
        return None
    if not isinstance(entries, dict):
        return 'extra-info is no map'
    if len(entries) > ENTRIES:
        return 'extra-info has too many entries'
    total = 0
    for key, value in entries.items():
        if not isinstance(value, str):
            return 'the value of %a is no string' % key
        if not KEY.fullmatch(key):
            return 'the key %a belongs to nobody' % key
        try:
            sizes = len(key.encode()), len(value.encode())
        except UnicodeEncodeError:
            return 'the entry %a has a lone surrogate' % key
        if sizes[0] > KEY_BYTES or sizes[1] > VALUE_BYTES:
            return 'the entry %a is too long' % key
        total += sum(sizes)
    if total > TOTAL_BYTES:
        return 'extra-info is too large'
    return None


def object_to_update(body):
    if isinstance(body, dict):
        if 'extra-info' in body or 'extra_info' in body:
            return 'a change names extra-info'
        body = body.values()
    elif not isinstance(body, list):
        return None
    return next(filter(None, map(object_to_update, body)), None)
