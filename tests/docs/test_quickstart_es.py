"""The Spanish quickstart shows the README's own commands and answers."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.docs.pages import blocks

SPANISH, ENGLISH = ROOT / "docs" / "quickstart.es.md", ROOT / "README.md"


@pytest.mark.parametrize("language", ["bash", "json"])
def test_each_block_is_one_of_the_readme_s_in_order(language: str) -> None:
    ours, theirs = blocks(SPANISH, language), blocks(ENGLISH, language)
    assert ours
    assert [block for block in theirs if block in ours] == ours
