"""The small pieces of HTML on the page: the status line, what was heard, the model's chip.

Everything that comes from a file name, a label or an error passes through `html.escape`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from studio.recipe import Recipe
from studio.result import Heard
from studio.ui import words
from studio.ui.service import Condition, Model

HEARD_SHOWN = 3


def clock(seconds: float) -> str:
    """A moment in a sound: 0:04.0 below a minute, else 1:03."""
    minutes, rest = divmod(max(seconds, 0.0), 60)
    return f"{int(minutes)}:{rest:04.1f}" if seconds < 60 else f"{int(minutes)}:{int(rest):02d}"


def length(seconds: float) -> str:
    """A stretch of time in words: 0.8 s, 12 s, 4 min 10 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def note(text: str) -> str:
    """A calm line."""
    return _line(escape(text), "note")


def mistake(text: str) -> str:
    """A line about something that did not work; screen readers say it at once."""
    return f'<div class="status mistake" role="alert">{escape(text)}</div>'


def waiting(ahead: int, seconds: float) -> str:
    """In the line: how many are ahead and about how long they take."""
    text = words.WAITING.format(ahead=ahead)
    if seconds >= 1:
        text += f" · {words.LEFT.format(seconds=length(seconds))}"
    return _line(f"<progress aria-label='{escape(text)}'></progress><span>{escape(text)}</span>", "busy")


def busy(text: str) -> str:
    """Working, and nobody knows how long it takes."""
    return _line(f"<progress aria-label='{escape(text)}'></progress><span>{escape(text)}</span>", "busy")


def loading(model: str) -> str:
    """A model is being loaded: the first one after the start, or another one that was chosen."""
    return busy(words.LOADING_MODEL.format(model=model) if model else words.LOADING)


def downloading(model: str, done: int, total: int) -> str:
    """A model is being fetched: bytes that are here, of about so many; 0 = nobody knows."""
    text = words.MODEL_FETCHING.format(model=model, done=f"{done / 1e9:.2f}", total=f"{total / 1e9:.1f}")
    amount = f"max='{total}' value='{min(done, total)}' " if total else ""
    return _line(f"<progress {amount}aria-label='{escape(text)}'></progress><span>{escape(text)}</span>", "busy")


def drawing(index: int, total: int, eta: float, image: int, count: int) -> str:
    """Step `index` of `total` of picture `image` (from 1) of `count`; eta: seconds until all are done."""
    step = words.STEP.format(index=index, total=total)
    parts = [words.PICTURE_OF.format(image=image, count=count)] if count > 1 else []
    parts += [step]
    if eta >= 0.5:
        parts.append(words.LEFT.format(seconds=length(eta)))
    done, whole = (image - 1) * total + index, total * count
    bar = f"<progress max='{whole}' value='{done}' aria-label='{escape(step)}'></progress>"
    return _line(f"{bar}<span>{escape(' · '.join(parts))}</span>", "busy")


def travelling(number: int, count: int, index: int, total: int, eta: float) -> str:
    """Step `index` of `total` of a journey's picture `number` (from 1) of `count`; eta: seconds until all are done."""
    text = words.JOURNEY_PAINTING.format(number=number, total=count)
    done, whole = (number - 1) * total + index, count * total
    bar = f"<progress max='{whole}' value='{done}' aria-label='{escape(text)}'></progress>"
    left = f" · {words.LEFT.format(seconds=length(eta))}" if eta >= 0.5 else ""
    return _line(f"{bar}<span>{escape(text + left)}</span>", "busy")


def editing(phase: str, index: int, total: int, eta: float) -> str:
    """Step `index` of `total` of a phase of an edit, as in Step; eta: seconds until the picture is done."""
    text = words.EDIT_PHASES[phase].format(step=words.ABOUT_STEP.format(index=index, total=total))
    bar = f"<progress max='{total}' value='{index}' aria-label='{escape(text)}'></progress>"
    left = f" · {words.LEFT.format(seconds=length(eta))}" if eta >= 0.5 else ""
    return _line(f"{bar}<span>{escape(text + left)}</span>", "busy")


def about(recipe: Recipe, name: str) -> str:
    """What a picture is made with: prompt, sound, seed, steps, size, and its file name when it is finished."""
    sound = " + ".join(track.name for track, sounds in zip(recipe.tracks, recipe.audible, strict=True) if sounds)
    facts = [
        sound,
        words.ABOUT_SEED.format(seed=recipe.seed) if recipe.seed is not None else "",
        words.ABOUT_STEPS.format(count=recipe.num_inference_steps) if recipe.num_inference_steps else "",
        f"{recipe.width} x {recipe.height} px" if recipe.width and recipe.height else "",
        name,
    ]
    rest = " · ".join(escape(fact) for fact in facts if fact)
    return f'<div class="about"><q>{escape(recipe.prompt)}</q><span>{rest}</span></div>'


def heard(labels: Sequence[tuple[str, float]], lufs: float | None = None, more: str = "") -> str:
    """What the ear hears, best first, as words with bars. labels: (label, probability in 0..1).

    lufs: how loud it is for the ear, None = not said.  more: what else is said of the sound, its pitch and tempo.
    """
    rows = "".join(
        f'<li><span class="label">{escape(label.replace("_", " "))}</span>'
        f'<span class="bar" aria-hidden="true"><i style="width:{100 * probability:.1f}%"></i></span>'
        f'<span class="percent">{percent(probability)}</span></li>'
        for label, probability in labels[:HEARD_SHOWN]
    )
    facts = [] if lufs is None else [loudness(lufs)]
    said = " · ".join([*facts, more] if more else facts)
    loud = f" <small>{escape(said)}</small>" if said else ""
    return f'<div class="heard"><h3>{words.HEARS}{loud}</h3><ul>{rows}</ul></div>'


def heard_note(text: str) -> str:
    """The place of `heard` while there is nothing to list."""
    return f'<div class="heard"><h3>{words.HEARS}</h3><p>{escape(text)}</p></div>'


def heard_shortly(heard: Heard) -> str:
    """What the ear hears in one of several sounds, on one line: the best labels, and how loud it is for the ear."""
    likely = [pair for place, pair in enumerate(heard.labels[:HEARD_SHOWN]) if place == 0 or pair[1] >= 0.01]
    best, *others = [f"{label.replace('_', ' ')} {percent(share)}" for label, share in likely]
    said = ", ".join([f"<b>{escape(best)}</b>", *map(escape, others)])
    return f'<p class="heard-shortly">{words.HEARS} {said} · {escape(loudness(heard.lufs))}</p>'


def heard_note_shortly(text: str) -> str:
    """The place of `heard_shortly` while there is nothing to say."""
    return f'<p class="heard-shortly">{escape(text)}</p>'


def loudness(lufs: float) -> str:
    """A loudness for people, with a true minus sign: -20.3 LUFS."""
    return f"{lufs:.1f} LUFS".replace("-", "\N{MINUS SIGN}") if lufs > -100 else words.TOO_SOFT


def percent(probability: float) -> str:
    """A probability for people: 87 %, below one percent <1 %."""
    return f"{100 * probability:.0f} %" if probability >= 0.01 else "<1 %"


def chip(condition: Condition) -> str:
    """How far the model is, for the head of the page."""
    text = {
        Model.WAITING: words.CHIP_WAITING,
        Model.LOADING: words.CHIP_LOADING,
        Model.READY: words.CHIP_READY,
        Model.FAILED: words.CHIP_FAILED,
    }[condition.model]
    if condition.model is Model.READY and condition.detail:
        text = f"{condition.detail} · {text}"
    model = f'<span class="wide">{words.CHIP_MODEL} ·</span> ' if condition.model is Model.READY else ""
    title = condition.detail if condition.model is Model.FAILED else ""
    return (
        f'<span class="chip {condition.model.value}" role="status" title="{escape(title)}">'
        f"<i aria-hidden='true'></i><span>{model}{escape(text)}</span></span>"
    )


def _line(inner: str, kind: str) -> str:
    return f'<div class="status {kind}" role="status" aria-live="polite">{inner}</div>'
