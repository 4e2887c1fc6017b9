"""The snippets of the pages about the doors do what they say, on a gateway that was started with nothing but its defaults."""

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
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(snippet.replace("http://127.0.0.1:8000", gateway.url), {})
            assert "simulated" in said.getvalue()
            # A snippet leaves its client to the collector, as people do; its socket must not be found open in some later test.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
