"""One model under llama.cpp's server, in a process of its own.

The command is `python -m serve.jobs.local_models.llama_server TASK`, where TASK is a `ServerTask` in JSON. The process
prints its address on standard output when it answers. It ends when standard input closes, so that it never outlives the
process that started it.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass

CONTEXT_TOKENS = 4_096
PARALLEL_ANSWERS = 2
MOST_THREADS = 4


def threads_for(n_cores: int) -> int:
    """Return the number of threads of one server: half the cores at most, because there are two servers.

    llama.cpp's threads wait for each other at every layer. With as many threads as cores, one busy process next to them
    slows them tenfold.
    """
    return max(1, min(MOST_THREADS, n_cores // 2))


@dataclass(frozen=True, slots=True)
class ServerTask:
    """The model to serve and its port.

    Args:
        weights: GGUF file.
        name: Name under which the server offers the model.
        port: TCP port on loopback; 0: any free one.
        chat_template: Jinja template of a chat; empty: the file's own.
        stops: Texts that end an answer.
    """

    weights: str
    name: str
    port: int
    chat_template: str
    stops: tuple[str, ...]


def serve_until_input_closes(task: ServerTask) -> None:
    """Load the model, announce the address, and serve."""
    import xllamacpp

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    parameters = xllamacpp.CommonParams()
    parameters.model.path = task.weights
    parameters.model_alias = {task.name}
    if task.chat_template:
        parameters.chat_template = task.chat_template
    parameters.antiprompt = list(task.stops)
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = task.port
    parameters.n_ctx = CONTEXT_TOKENS * PARALLEL_ANSWERS
    parameters.n_parallel = PARALLEL_ANSWERS
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads_for(os.cpu_count() or 1)
    parameters.verbosity = 0
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    try:
        print(server.listening_address, flush=True)
        # The parent reads no further, and a full pipe would stop the server.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stdin.read()
    finally:
        # At once, also if the parent is gone: llama.cpp's threads hold up an ordinary exit of Python.
        os._exit(0)


if __name__ == "__main__":
    serve_until_input_closes(ServerTask(**json.loads(sys.argv[1])))
