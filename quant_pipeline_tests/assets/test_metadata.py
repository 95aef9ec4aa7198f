"""What materializations show: a picture that cannot be drawn fails nothing."""

from __future__ import annotations

from quant_pipeline.assets.metadata import pictured


def test_a_picture_stands_in_the_metadata_itself() -> None:
    assert str(pictured(lambda: b"\x89PNG", "charts").value) == "![charts](data:image/png;base64,iVBORw==)"


def test_a_picture_that_cannot_be_drawn_is_said() -> None:
    def draw() -> bytes:
        raise KeyError("no such line")

    said = str(pictured(draw, "charts").value)
    assert "could not be drawn" in said
    assert "no such line" not in said
