"""One model under llama.cpp's server, in a process of its own: `python -m serve.jobs.local_models.llama_server TASK`, a `ServerTask` in JSON.

Prints its address on standard output when it answers. Ends when standard input closes, so that it never outlives whoever started it.
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
    """Return how many threads one server computes with: half the cores at most, as there are two servers.

    llama.cpp's threads wait for each other at every layer: with as many as there are cores, one busy neighbour slows them tenfold.
    """
    return max(1, min(MOST_THREADS, n_cores // 2))


@dataclass(frozen=True, slots=True)
class ServerTask:
    """What to serve.

    Args:
        weights: The GGUF file.
        name: What the model answers to.
        port: TCP port on loopback; 0: any free one.
        chat_template: In Jinja; empty: the file's own.
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

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; whoever started this one decides
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
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # nobody reads on: a full pipe would stop the server
        sys.stdin.read()
    finally:
        # At once, also when nobody is left to hear the address: llama.cpp's threads hold up Python's own way out.
        os._exit(0)


if __name__ == "__main__":
    serve_until_input_closes(ServerTask(**json.loads(sys.argv[1])))
