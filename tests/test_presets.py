"""The prompt templates that come with Hearsight, and how a damaged one is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.diffusion.prompt import has_word
from studio.errors import HearsightError
from studio.presets import load_templates


def test_the_shipped_templates() -> None:
    templates = load_templates()
    assert [template.id for template in templates][:3] == ["photo", "painting", "style"]
    assert {"a photo of A*", "a painting of A*"} <= {template.prompt for template in templates}
    assert all(has_word(template.prompt) and template.help for template in templates)
    assert len({template.title for template in templates}) == len(templates)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        json.dumps({"id": "other", "title": "T", "prompt": "A*"}),
        json.dumps({"id": "broken", "title": "T", "prompt": "A*", "colour": "red"}),
        json.dumps({"id": "broken", "title": "", "prompt": "A*"}),
    ],
)
def test_a_damaged_preset_is_named(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.json").write_text(text, encoding="utf-8")
    monkeypatch.setenv("HEARSIGHT_PRESETS", str(tmp_path))
    if text == "[]":
        assert load_templates() == ()
    else:
        with pytest.raises(HearsightError, match=r"broken\.json is damaged"):
            load_templates()
