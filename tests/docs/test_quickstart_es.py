"""The Spanish quickstart shows the README's own commands and answers, all of them."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.docs.pages import blocks

SPANISH, ENGLISH = ROOT / "docs" / "quickstart.es.md", ROOT / "README.md"
#: The heading behind the README's quickstart.
END = "## Your own model"


@pytest.mark.parametrize("language", ["bash", "json"])
def test_each_block_is_the_readme_s_in_order(language: str) -> None:
    ours = blocks(SPANISH, language)
    assert ours
    assert ours == blocks(ENGLISH, language, until=END)
