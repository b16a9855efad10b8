"""What a round of requests needs: a script for wrk, the answers that it got, what the machine did meanwhile.

Leaves who is asked, and what the figures mean, to `peers` and `growth`.
"""

import os
import pathlib
import re
import statistics


def machine():
    """Seconds that all cores have worked, whoever for."""
    user, nice, system, _, _, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def write_script(folder, name, request):
    """A request as wrk wants it."""
    lines = [f'wrk.method = "{request.method}"', f'wrk.path = "{request.path}"']
    lines += [f'wrk.headers["{field}"] = "{value}"' for field, value in request.fields.items()
              if field != "Content-Length"]
    lines += [f"wrk.body = [==[{request.body}]==]"] if request.body else []
    path = pathlib.Path(folder, f"{name}.lua")
    path.write_text("\n".join(lines) + "\n")
    return path


def answered(told, name, fails):
    """How many requests wrk got an answer to, all of them the one that is expected."""
    requests = int(re.search(r"(\d+) requests in", told)[1])
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    if "Socket errors" in told or (int(failed[1]) if failed else 0) != (requests if fails else 0):
        raise RuntimeError(f"{name} answers something else under load:\n{told}")
    return requests


def spread(values, digits):
    middle = f"{statistics.median(values):.{digits}f}"
    return middle + f" ({min(values):.{digits}f}–{max(values):.{digits}f})"
