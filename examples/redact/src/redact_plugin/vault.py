"""What stands for what, by completion: bounded, and forgotten after a while. Time is an argument."""

import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Set

from redact_plugin.finding import Kind, find

PLACEHOLDER = re.compile(r"\[[A-Z]{2,5}_\d{1,5}\]")
BEGUN = re.compile(r"\[(?:[A-Z]{1,5}(?:_\d{0,5})?)?\Z")
"""At the end of a text: what may become a placeholder."""
_MOST_VALUES = 10_000


class TooMuch(Exception):
    """A request holds more personal data than is kept for one."""


class Vault:
    """Of one completion: the same value has the same placeholder everywhere in it."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """:param taken: placeholders that mean themselves, because the caller wrote them."""
        self._taken = frozenset(taken)
        self._placeholders: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._counts = dict.fromkeys(Kind, 0)

    def redacted(self, text: str, kinds: Set[Kind]) -> str:
        """The text with placeholders.

        :raises TooMuch: when there are more values than can be kept.
        """
        pieces, at = [], 0
        for found in find(text, kinds):
            pieces += [text[at : found.start], self._placeholder(found.kind, text[found.start : found.end])]
            at = found.end
        return "".join([*pieces, text[at:]]) if pieces else text

    def restored(self, text: str, *, in_json: bool = False) -> str:
        """The text with the values; what stands for nothing is left as it is.

        :param in_json: it is a piece of JSON, and placeholders stand in its strings.
        """
        if "[" not in text:
            return text

        def value(match: re.Match[str]) -> str:
            found = self._values.get(match[0], match[0])
            return json.dumps(found, ensure_ascii=False)[1:-1] if in_json else found

        return PLACEHOLDER.sub(value, text)

    def _placeholder(self, kind: Kind, value: str) -> str:
        known = self._placeholders.get(value)
        if known is not None:
            return known
        if len(self._values) >= _MOST_VALUES:
            raise TooMuch
        while True:
            self._counts[kind] += 1
            placeholder = f"[{kind.name}_{self._counts[kind]}]"
            if placeholder not in self._taken:
                break
        self._placeholders[value], self._values[placeholder] = placeholder, value
        return placeholder


class Vaults:
    """Of all completions under way."""

    def __init__(self, most: int, seconds: float, seconds_after_end: float) -> None:
        """:param seconds: after which one is forgotten whose end was not told."""
        self._most = most
        self._seconds = seconds
        self._after_end = seconds_after_end
        self._kept: OrderedDict[str, tuple[float, Vault]] = OrderedDict()
        self._ended: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, completion_id: str, vault: Vault, now: float) -> None:
        self.forget(now)
        self._kept[completion_id] = now + self._seconds, vault
        self._kept.move_to_end(completion_id)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def of(self, completion_id: str) -> Vault | None:
        kept = self._kept.get(completion_id)
        return None if kept is None else kept[1]

    def end(self, completion_id: str, now: float) -> None:
        """Forget it soon: an attempt that is not the answer may still be under way."""
        if completion_id in self._kept:
            self._ended.setdefault(completion_id, now + self._after_end)
        self.forget(now)

    def forget(self, now: float) -> None:
        while self._ended and next(iter(self._ended.values())) <= now:
            completion_id, _ = self._ended.popitem(last=False)
            self._kept.pop(completion_id, None)
        while self._kept and next(iter(self._kept.values()))[0] <= now:
            self._kept.popitem(last=False)
        if len(self._ended) > self._most:
            self._ended.popitem(last=False)
