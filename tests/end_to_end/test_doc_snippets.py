"""The snippets of the pages about the doors work on a gateway with default settings."""

import contextlib
import gc
import io
import re
import warnings
from pathlib import Path

import pytest
from checkout import ROOT
from fakes.gateway_thread import GatewayThread

pytestmark = pytest.mark.slow

PAGES = sorted((ROOT / "docs" / "doors").glob("*.md"))
SNIPPET = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_snippet_runs_as_it_stands(page: Path, tmp_path: Path) -> None:
    snippets = SNIPPET.findall(page.read_text(encoding="utf-8"))
    if not snippets:
        assert page.stem == "openai-embeddings", "the sandbox makes no vectors; every other page has a snippet"
        return
    with GatewayThread(tmp_path, sandbox="auto", sandbox_pace=0.0) as gateway:
        for snippet in snippets:
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(snippet.replace("http://127.0.0.1:8000", gateway.url), {})
            assert "simulated" in output.getvalue()
            # A snippet does not close its client. Collect it now, so that its open socket does not fail a later test.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
