"""Where nodes come from, as text and as parts."""

import pytest

from hcp.graph.source import Source, source_parts, source_text


@pytest.mark.parametrize(
    ("given", "text", "parts"),
    [
        (("layers.3.attn", "/home/a/model.py", 120), "layers.3.attn: model.py:120", ("layers.3.attn", "model.py", 120)),
        (("", "model.py", 7), "model.py:7", ("", "model.py", 7)),
        (("layers.3", "", 0), "layers.3", ("layers.3", "", 0)),
        (("", "", 0), "", ("", "", 0)),
        # Named scopes may be anything.
        (("a: b\nc", "m.py", 1), "a: b\nc: m.py:1", ("a: b\nc", "m.py", 1)),
    ],
)
def test_texts_and_their_parts(given, text, parts):
    assert source_text(*given) == text
    assert source_parts(text) == Source(*parts)


def test_any_other_text_is_a_path():
    assert source_parts("the third layer") == Source("the third layer", "", 0)
