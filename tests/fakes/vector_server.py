"""llama.cpp's own server that makes vectors with one of the small models.

It runs in its own process, which ends when its standard input closes.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from serve.jobs.local_models.model_files import LocalModel, weights_of

NAME = "vectors"


@contextlib.contextmanager
def vector_server(local_model: LocalModel) -> Iterator[str]:
    """Yield the base URL, up to and including /v1."""
    command = [sys.executable, __file__, str(weights_of(local_model))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = next((line.strip() for line in process.stdout if line.startswith("http://")), None)
        assert url is not None, "the server did not start"
        try:
            yield f"{url}/v1"
        finally:
            process.stdin.close()
            process.wait(20)


def serve(weights: str) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = weights
    parameters.model_alias = {NAME}
    parameters.embedding = True
    parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 512
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.verbosity = 0
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stdin.read()
    os._exit(0)  # llama.cpp's threads hold up Python's own way out


if __name__ == "__main__":
    serve(sys.argv[1])
