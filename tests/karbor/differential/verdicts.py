"""Compares what was sent, what came back and what Karbor noted, and says what is wrong."""
import judge
from words import Request, case_of


class Failure:
    """What is wrong, in a word that stays the same while a case is shrunk, and in a sentence."""

    def __init__(self, kind, text, case=None):
        self.kind, self.text, self.case = kind, text, case


def of_case(played, records):
    """What is wrong with one case, given the records that bear its probes or whose answers it got."""
    return (judged(played, records) or unanswered(played, records) or by_the_proxy(played) or next(filter(None, (
        of_request(played, at, records) for at in range(len(played.case.requests)))), None))


def judged(played, records):
    for record in records:
        if record['identity']:
            return Failure('identity', 'Karbor got the client\'s own %s' % ', '.join(record['identity']), played.case)
        for call in record['calls']:
            objection = judge.objection(call)
            if objection:
                return bypass(record, call, objection, played.case)
    return None


def bypass(record, call, objection, case=None):
    """In three kinds, so that a case is not shrunk to less than it showed."""
    if call['bodiless']:
        return Failure('bodiless', 'Karbor ran %s without a body, so nobody judged one' % call['kind'], case)
    kind, carried = ('bypass', 'carried out') if record['status'] == '200' else ('reached', 'ran')
    return Failure(kind, 'Karbor %s %s, and %s: %.300a' % (carried, call['kind'], objection, call['body']), case)


def unanswered(played, records):
    """What Karbor answered must have come back to whoever asked."""
    if not played.settled:
        return None
    asking, cut = sum(request.asks for request in played.case.requests), len(played.cut)
    for record in records:
        if record['number'] in played.returned:
            continue
        if asking and is_question(record):
            asking -= 1
            continue
        if cut and is_harmless(record):
            cut -= 1
            continue
        if is_late(played, record):
            continue
        text = 'Karbor got %s %a, and its answer went to nobody' % (record['method'], record['path'])
        return Failure('unseen', text, played.case)
    return None


def is_question(record):
    """The proxy's own question for the provider of a plan."""
    return record['method'] == 'GET' and '/plans/' in record['path'] and not record['calls']


def is_late(played, record):
    """Refused in the middle of a body that was passed on as it came. Creations and changes never are."""
    chunked = any(b'chunked' in request.data.lower() for request in played.case.requests)
    return chunked and record['number'] not in played.returned and not is_question(record) and is_harmless(record)


def is_harmless(record):
    """Nothing was carried out: at most a copy was asked for without saying of what."""
    return all(call['kind'] == 'copy' and call['bodiless'] for call in record['calls'])


def by_the_proxy(played):
    for at, answer in enumerate(played.answers):
        if answer.number is None and answer.status >= 500 and at not in played.cut:
            text = 'the proxy answers %d, and Karbor did not' % answer.status
            return Failure('proxy %d' % answer.status, text, played.case)
        if answer.number is not None and answer.karbor_status != str(answer.status):
            text = 'Karbor answers %s, the proxy %d' % (answer.karbor_status, answer.status)
            return Failure('status', text, played.case)
    return None


def of_request(played, at, records):
    request = played.case.requests[at]
    if request.must is None:
        return None
    mine = [record for record in records if record['probe'] == request.probe]
    if request.must == Request.DENIED:
        if mine:
            return Failure('denied', 'request %d breaks a rule, and Karbor got it' % at, played.case)
        return None
    if request.asks:
        mine = [record for record in mine if not is_question(record)]
    answer = played.answers[at] if at < len(played.answers) else None
    if answer is None and not mine and any(one.streams for one in played.case.requests[:at]):
        return None
    if answer is None:
        return Failure('no answer', 'request %d is fine, and was not answered' % at, played.case)
    if at in played.cut:
        return None
    if answer.number is None:
        return Failure('refused', 'request %d is fine, and the proxy answers %d' % (at, answer.status), played.case)
    if len(mine) != 1 or mine[0]['number'] != answer.number:
        return Failure('count', 'request %d is fine, and Karbor got it %d times' % (at, len(mine)), played.case)
    return of_calls(played, at, mine[0]['calls'])


def of_calls(played, at, calls):
    request = played.case.requests[at]
    if request.call is None:
        return None
    if [call['kind'] for call in calls] != [request.call]:
        return Failure('call', 'request %d should make Karbor run %s, and makes it run %s' % (
            at, request.call, [call['kind'] for call in calls]), played.case)
    if request.entries is not None:
        given = calls[0]['body']['checkpoint'].get('extra-info') or {}
        if given != request.entries:
            return Failure('entries', 'request %d: Karbor got another map: %.300a' % (at, given), played.case)
    return None


def note_cuts(played):
    """Where the server does not read what it has no use for, a 502 is its doing. Never for what is sent whole."""
    requests = played.case.requests
    played.cut = frozenset(
        at for at, answer in enumerate(played.answers[:len(requests)])
        if answer.number is None and answer.status == 502 and (requests[at].streams or requests[at].must is None))


class Ledger:
    """Which records belong to which of the played cases."""

    def __init__(self, played, records, hasty):
        self.played, self.records = played, records
        by_index, by_number = {}, {}
        for one in played:
            if hasty:
                note_cuts(one)
            by_index[int(one.case.name.rsplit(':', 1)[1])] = one
            by_number.update((number, one) for number in one.returned)
        self.of = {id(one): [] for one in played}
        self.strays = []
        for record in records:
            if 'unserved' in record:
                continue
            # A probe may be lost with the header that held it; then the answer tells whose it was.
            owner = by_index.get(case_of(record['probe'])) or by_number.get(record['number'])
            (self.of[id(owner)] if owner else self.strays).append(record)

    def late(self):
        """Requests that Karbor got and the proxy turned down afterwards, as far as their connections tell."""
        return sum(is_late(one, record) for one in self.played if one.settled for record in self.of[id(one)])

    def failures(self):
        for one in self.played:
            failure = of_case(one, self.of[id(one)])
            if failure:
                yield failure
        unsettled = any(not one.settled for one in self.played)
        for record in self.strays:
            for call in record['calls']:
                objection = judge.objection(call)
                if objection:
                    yield bypass(record, call, objection)
            # Its answer is not the client's: where the probe was lost, nothing tells whose question it was.
            if not unsettled and not is_question(record):
                yield Failure('unseen', 'Karbor got %s %a, which nobody sent' % (record['method'], record['path']))


def of_counts(sent, given_up, late, seen):
    """What is wrong with the number of requests that the proxy says it sent, and Karbor noted."""
    if sent != seen:
        return Failure('count', 'the proxy sent %d, %d of them given up, and Karbor got %d' % (sent, given_up, seen))
    if late > given_up:
        text = 'the proxy gave up %d requests, and the answers to %d went to nobody'
        return Failure('count', text % (given_up, late))
    return None
