"""nginx and HAProxy before Karbor, each with one worker: what the proxy is compared with.

Leaves what is asked of them and what it takes to `run`.
"""

import shutil

from serving import NGINX_BEFORE, PATH, Peer, nginx, ours

PLAIN_NGINX = NGINX_BEFORE + """
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Connection "";
        location / {{ proxy_pass http://karbor; }}
    }}
}}
"""
PLAIN_HAPROXY = """
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    http-reuse always
frontend clients
    bind 127.0.0.1:{port} backlog 1024
    default_backend karbor
backend karbor
    server karbor 127.0.0.1:{karbor}
"""


def peers(folder, cores, karbor, binaries):
    """What is compared. nginx and HAProxy judge nothing; `binaries` are those of the proxy, by name."""
    plain = [Peer("nginx", folder, cores, PLAIN_NGINX, nginx(), karbor=karbor.port)]
    if haproxy := shutil.which("haproxy", path=PATH):
        command = [haproxy, "-db", "-f", "{file}"]
        plain.append(Peer("haproxy", folder, cores, PLAIN_HAPROXY, command, karbor=karbor.port))
    return plain + [ours(name, folder, cores, binary, karbor) for name, binary in binaries.items()]
