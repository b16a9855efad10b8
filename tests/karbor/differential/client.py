"""Plays cases against the proxy, many connections at once, and reads what comes back."""
import re
import selectors
import socket
import time

# Without a sign of life for so long, while others show some, a connection waits for bytes that the case does not have.
IDLE = 1.5
# As long, where no other case is left to tell a connection that waits from a machine that is busy.
ALONE = 4.0
# As long, where none shows any: then it is the machine.
STALLED = 60.0
# So many signs of other connections show that the machine is not what it waits for.
SIGNS = 48
# Then it is told that none will come, and the proxy has this long to end it.
LAST = 5.0


NUMBER = re.compile(rb'\r\nx-oracle: (\S+) ', re.IGNORECASE)


class Answer:
    """One answer: status, and who gave it. `number` is None where it was not Karbor."""

    def __init__(self, status, number, karbor_status):
        self.status, self.number, self.karbor_status = status, number, karbor_status


class Played:
    """A case after it was played.

    `settled`: the proxy ended the connection of its own accord, so all that was to come of it has come. `hung`: not
    even when told that no more bytes would come. `cut`: places of requests whose answer was lost because
    Karbor's server closed before it had read all of a body that was passed on as it came.
    """

    def __init__(self, case, received, settled, hung):
        self.case, self.received, self.settled, self.hung = case, received, settled, hung
        self.answers, self.garbled = read_answers(received, [request.head for request in case.requests])
        # Also where the answers cannot be told apart, because nobody knows which of them was to a HEAD.
        self.cut = frozenset()
        self.returned = {number.decode() for number in NUMBER.findall(received)}


def read_answers(data, heads):
    """The final answers in `data`, and whether something else is in it. `heads`: which requests were HEAD."""
    answers = []
    while data:
        end = data.find(b'\r\n\r\n')
        if end < 0 or not data.startswith(b'HTTP/1.'):
            return answers, True
        lines = data[:end].split(b'\r\n')
        data = data[end + 4:]
        status = int(lines[0][9:12])
        if status < 200:
            continue
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(b':')
            fields[name.lower()] = value.strip()
        oracle = fields.get(b'x-oracle', b'').decode().split()
        answers.append(Answer(status, *(oracle or (None, None))))
        headless = len(answers) <= len(heads) and heads[len(answers) - 1]
        if headless or status in (204, 304):
            continue
        if fields.get(b'transfer-encoding', b'').lower() == b'chunked':
            data = after_chunks(data)
            if data is None:
                return answers, True
        elif b'content-length' in fields:
            data = data[int(fields[b'content-length']):]
        else:
            return answers, False
    return answers, False


def after_chunks(data):
    while True:
        end = data.find(b'\r\n')
        if end < 0:
            return None
        size = int(data[:end].split(b';')[0], 16)
        data = data[end + 2:]
        if size == 0:
            end = data.find(b'\r\n')
            return None if end < 0 else data[end + 2:]
        data = data[size + 2:]


class Connection:
    def __init__(self, case, address):
        self.case = case
        data = case.data()
        edges = [0, *case.cuts, len(data)]
        self.pieces = [data[a:b] for a, b in zip(edges, edges[1:]) if a < b]
        self.received = []
        self.told = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(address)
        self.since, self.signs = time.monotonic(), 0

    def write(self):
        """Sends one piece or what of it finds room; whether there is more."""
        piece = self.pieces[0]
        sent = self.socket.send(piece)
        if sent == len(piece):
            self.pieces.pop(0)
        else:
            self.pieces[0] = piece[sent:]
        return bool(self.pieces)

    def played(self, settled, hung=False):
        self.socket.close()
        return Played(self.case, b''.join(self.received), settled, hung)


class Client:
    """Plays cases with so many connections at once."""

    def __init__(self, address, at_once=48, idle=IDLE):
        self.address, self.at_once, self.idle = address, at_once, idle
        self.signs = 0

    def play(self, cases):
        """Each case played, in no order."""
        cases, selector, open_ones = iter(cases), selectors.DefaultSelector(), set()
        looked = time.monotonic()
        exhausted = False
        while True:
            while not exhausted and len(open_ones) < self.at_once:
                case = next(cases, None)
                if case is None:
                    exhausted = True
                    break
                connection = Connection(case, self.address)
                connection.signs = self.signs
                open_ones.add(connection)
                selector.register(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)
            if not open_ones:
                return
            for key, events in selector.select(0.05):
                self.signs += 1
                key.data.signs = self.signs
                played = self.progress(selector, key.data, events)
                if played:
                    open_ones.remove(key.data)
                    yield played
            now = time.monotonic()
            if now - looked > 0.05:
                looked = now
                for connection in [one for one in open_ones if now - one.since > self.patience(one, exhausted)]:
                    if connection.told:
                        selector.unregister(connection.socket)
                        open_ones.remove(connection)
                        yield connection.played(settled=False, hung=True)
                    else:
                        self.tell(connection)

    def patience(self, connection, exhausted):
        if self.signs - connection.signs >= SIGNS:
            return LAST if connection.told else self.idle
        return max(ALONE, LAST if connection.told else 0) if exhausted else STALLED

    @staticmethod
    def tell(connection):
        connection.told = True
        connection.since = time.monotonic()
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    @staticmethod
    def progress(selector, connection, events):
        connection.since = time.monotonic()
        ended = False
        try:
            if events & selectors.EVENT_WRITE and not connection.write():
                selector.modify(connection.socket, selectors.EVENT_READ, connection)
        except BlockingIOError:
            pass
        except OSError:
            # It may have been refused before all was sent; the answer can still be read.
            selector.modify(connection.socket, selectors.EVENT_READ, connection)
        try:
            if events & selectors.EVENT_READ:
                data = connection.socket.recv(262144)
                connection.received.append(data)
                ended = not data
        except BlockingIOError:
            pass
        except OSError:
            ended = True
        if not ended:
            return None
        selector.unregister(connection.socket)
        return connection.played(settled=not connection.told)
