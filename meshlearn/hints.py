"""Names that were probably meant: the "did you mean" of every message, in one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


def near_names(name: str, known: Iterable[str], cutoff: float = 0.6, count: int = 1) -> list[str]:
    """The known names most like this one, best first; those less like it than `cutoff` (0 to 1) are left out.

    Upper and lower case are alike, but the name in the right case comes first.

    >>> near_names("pressur", ["velocity", "pressure"]), near_names("load", ["velocity"])
    (['pressure'], [])
    >>> near_names("u", ["U", "p"])
    ['U']
    """
    folded: dict[str, list[str]] = {}
    for one in known:
        folded.setdefault(one.casefold(), []).append(one)
    near = get_close_matches(name.casefold(), list(folded), n=count, cutoff=cutoff)
    cased = [get_close_matches(name, folded[one], n=len(folded[one]), cutoff=0.0) for one in near]
    return [one for group in cased for one in group][:count]


def did_you_mean(
    name: str,
    known: Iterable[str],
    aliases: Mapping[str, str] | None = None,
    cutoff: float = 0.6,
    words: str = "{!r}",
) -> str:
    """ ": did you mean 'tolerance'?" to be put behind the message on an unknown name; "." if nothing is near.

    - aliases: what other libraries call it -> the name here; these come first.
    - words: how the name is written, with {} in its place.

    >>> did_you_mean("tolerence", ["tolerance"]), did_you_mean("tol", ["tolerance"], {"tol": "tolerance"})
    (": did you mean 'tolerance'?", ": did you mean 'tolerance'?")
    >>> did_you_mean("k", ["tolerance"])
    '.'
    """
    known = list(known)
    alias = (aliases or {}).get(name)
    near = [alias] if alias in known else near_names(name, known, cutoff)
    return f": did you mean {words.format(near[0])}?" if near else "."
