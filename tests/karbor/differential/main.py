"""Plays generated requests through the proxy to Karbor's own code, and fails if anything got round the proxy."""
import argparse
import collections
import multiprocessing
import pathlib
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import lab  # noqa: E402
import shrink  # noqa: E402
import stage  # noqa: E402
import worker  # noqa: E402

# What the bounded run of CI is: enough for every differential to come up several times.
CI = {'seed': 'ci', 'seconds': 60, 'requests': 20_000, 'workers': 1}


def options():
    parser = argparse.ArgumentParser(prog='run')
    parser.add_argument('--proxy', type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument('--lab', type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument('--generation', choices=('default', 'late', 'uwsgi'), default='default')
    parser.add_argument('--requests', type=int, default=100_000, help='generate so many in all')
    parser.add_argument('--seconds', type=float, help='or stop after this long')
    parser.add_argument('--seed', default='1')
    parser.add_argument('--first', type=int, default=0, help='the number of the first case')
    parser.add_argument('--workers', type=int, default=1, help='each with a proxy and a Karbor of its own')
    parser.add_argument('--replay', type=pathlib.Path, metavar='FILE', help='play only the case in this file')
    parser.add_argument('--failure', type=pathlib.Path, metavar='FILE', help='where the shrunk case of a failure goes')
    parser.add_argument('--shrink-seconds', type=float, default=120, help='make a failing case smaller for so long')
    parser.add_argument('--ci', action='store_true', help='a bounded run with a fixed seed')
    chosen = parser.parse_args()
    if chosen.ci:
        vars(chosen).update(CI)
    return chosen


def work(number, chosen, share, queue):
    """One worker: batches until its share is done, the time is over or something fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    running = stage.Stage(chosen.proxy, chosen.generation, chosen.lab)
    clean = False
    try:
        running.start()
        # The clock is only looked at between batches.
        batch = 2000 if chosen.seconds else worker.BATCH
        own = worker.Worker(running, chosen.seed, chosen.first + number, chosen.workers, batch)
        if chosen.replay:
            clean = replay(own, chosen, queue)
            return
        deadline = time.monotonic() + chosen.seconds if chosen.seconds else float('inf')
        failures = []
        while not failures and own.tally['requests'] < share and time.monotonic() < deadline:
            failures = own.run_batch(share - own.tally['requests'])
            queue.put(('tally', number, own.tally))
        clean = not failures
        if failures:
            queue.put(('failed', number, report(own, failures, chosen)))
    except (lab.Broken, OSError) as problem:
        queue.put(('failed', number, 'the lab: %s' % problem))
    finally:
        running.stop()
        if clean:
            running.discard()
        queue.put(('done', number, None if clean else str(running.state)))


def replay(own, chosen, queue):
    case = shrink.load(chosen.replay)
    failures = own.play([case], tallied=True)
    queue.put(('tally', 0, own.tally))
    if failures:
        queue.put(('failed', 0, describe(case, failures[0])))
    return not failures


def report(own, failures, chosen):
    """The first failure with the smallest case that still shows it, and how many more there are."""
    kinds = collections.Counter(failure.kind for failure in failures)
    # A bypass says most, and shrinks best.
    failure = min(failures, key=lambda one: (one.case is None, one.kind != 'bypass'))
    text = ['%d failures: %s' % (len(failures), ', '.join('%d %s' % (n, kind) for kind, n in kinds.items()))]
    if failure.case is None or not own.stage.alive():
        return '\n'.join(text + [failure.text])
    own.client = type(own.client)(own.stage.address, idle=0.5)
    text.append('case %s' % failure.case.name)

    def fails(case):
        return [one.kind for one in own.play([case])]

    if failure.kind not in fails(failure.case):
        text.append('It does not fail alone: others were under way.')
        case = failure.case
    else:
        case = shrink.Shrinker(fails, failure.kind, chosen.shrink_seconds).shrink(failure.case)
        again = [one for one in own.play([case]) if one.kind == failure.kind]
        failure = again[0] if again else failure
    path = chosen.failure or chosen.lab / ('failure-%s.py' % case.name.replace(':', '-'))
    shrink.save(path, case, failure)
    return '\n'.join(text + [describe(case, failure), 'again: --generation %s --replay %s' % (chosen.generation, path)])


def describe(case, failure):
    return '\n'.join(['%s: %s' % (failure.kind, failure.text)] + ['    %r' % request.data for request in case.requests])


def collect(queue, processes, begun):
    """Waits for the workers; the sum of their tallies, and what failed."""
    tallies, failed, waiting, said = {}, [], set(range(len(processes))), time.monotonic()
    while waiting:
        kind, number, value = queue.get()
        if kind == 'tally':
            tallies[number] = value
        elif kind == 'failed':
            failed.append(value)
            for other in processes:
                if other is not processes[number]:
                    other.terminate()
        else:
            waiting.discard(number)
            if value and not failed:
                failed.append('a worker ended; its logs are in %s' % value)
            elif value:
                failed.append('logs and configuration: %s' % value)
        if time.monotonic() - said > 20:
            said = time.monotonic()
            done = sum(tally['requests'] for tally in tallies.values())
            print('... %d requests, %.0f a second' % (done, done / (said - begun)), flush=True)
    return sum(tallies.values(), collections.Counter()), failed


def main():
    chosen = options()
    count = 1 if chosen.replay else chosen.workers
    queue = multiprocessing.Queue()
    share = -(-chosen.requests // count)
    processes = [multiprocessing.Process(target=work, args=(number, chosen, share, queue)) for number in range(count)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begun = time.monotonic()
    try:
        for process in processes:
            process.start()
        tally, failed = collect(queue, processes, begun)
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
            process.join(30)
    seconds = time.monotonic() - begun
    for text in failed:
        print('FAIL  ' + text)
    print(', '.join('%s %d' % (name, number) for name, number in tally.items()))
    print('%s: %d requests in %.0f s (%.0f a second), seed %s: %s' % (
        chosen.generation, tally['requests'], seconds, tally['requests'] / seconds, chosen.seed,
        'FAILED' if failed else 'nothing got round the proxy'))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
