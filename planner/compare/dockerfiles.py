"""Two custom Dockerfiles compared: instructions, the images that they name, the files of the context."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from planner.compare.change import Change, counted
from planner.compare.layers import Seen
from planner.image.instructions import CONTEXT, BuildDockerfile
from planner.values import Digest

__all__ = ["dockerfile_changes"]

_FIELD: Final = "dockerfile"
_SHOWN_CHARACTERS: Final = 100
# To find what moved takes time for each pair of instructions.
_COMPARED: Final = 4_000_000


def dockerfile_changes(
    old: BuildDockerfile | None, new: BuildDockerfile | None, seen: Seen
) -> Iterator[Change]:
    """What changed in a Dockerfile: each instruction that did, with the line that it stands on now."""
    if old is None or new is None:
        item = new or old
        code, words = ("added", "built") if old is None else ("removed", "no longer built")
        name = item.file or "Dockerfile" if item else "Dockerfile"
        yield Change("", _FIELD, None, code, None, None, f"dockerfile: {words} from {name}")
        return
    yield from _lines(old, new)
    yield from _images(old, new)
    for name in sorted({**(old.secrets or {}), **(new.secrets or {})}):
        was_version, is_version = ((each.secrets or {}).get(name) for each in (old, new))
        if was_version != is_version:
            values = [None if each is None else str(each) for each in (was_version, is_version)]
            code = "added" if was_version is None else "removed" if is_version is None else "changed"
            text = f"dockerfile: version of the secret {name}: {values[0] or 'none'} → {values[1] or 'none'}"
            yield Change("", "secrets", name, code, values[0], values[1], text)
    if seen.old is None or seen.new is None:
        return
    before, after = seen.old.trees.get(CONTEXT), seen.new.trees.get(CONTEXT)
    if before is not None and after is not None and before.digest != after.digest:
        text = f"build context: {counted(before.changed_paths(after))}"
        yield Change("", "build_context_root", None, "changed", str(before.digest), str(after.digest), text)
    ids = [each.image_ids or {} for each in (seen.old, seen.new)]
    for name in sorted(ids[0].keys() | ids[1].keys()):
        was, now = (each.get(name) for each in ids)
        if was != now:
            text = f"dockerfile: image {name} was rebuilt ({_digest(was)} → {_digest(now)})"
            yield Change("", _FIELD, name, "rebuilt", _digest(was), _digest(now), text)


def _lines(old: BuildDockerfile, new: BuildDockerfile) -> Iterator[Change]:
    from difflib import SequenceMatcher  # noqa: PLC0415  # most plans have no Dockerfile that changed

    if len(old.lines) * len(new.lines) > _COMPARED and old.lines != new.lines:
        counts = [str(len(item.lines)) for item in (old, new)]
        text = f"{new.file or 'Dockerfile'}: changed, of {counts[0]} instructions and now {counts[1]}"
        yield Change("", _FIELD, None, "changed", None, None, text)
        return
    matcher = SequenceMatcher(None, old.lines, new.lines, autojunk=False)
    for kind, begin, end, first, last in matcher.get_opcodes():
        if kind == "equal":
            continue
        for was, now in _pairs(old, range(begin, end), new, range(first, last)):
            before = None if was is None else old.lines[was]
            after = None if now is None else new.lines[now]
            where = _place(old, was, new.file) if now is None else _place(new, now, old.file)
            if before is None:
                code, text = "added", f"{where}: + {_cut(after)}"
            elif after is None:
                code, text = "removed", f"{where}: - {_cut(before)}"
            else:
                code, text = "changed", f"{where}: {_cut(before, after)} → {_cut(after, before)}"
            yield Change("", _FIELD, where, code, before, after, text)


def _pairs(
    old: BuildDockerfile, before: range, new: BuildDockerfile, after: range
) -> Iterator[tuple[int | None, int | None]]:
    """What stands in place of what: an instruction only in that of another of its kind, in their order."""
    left = list(before)
    for now in after:
        keyword = new.lines[now].split(maxsplit=1)[0]
        same = next((was for was in left if old.lines[was].split(maxsplit=1)[0] == keyword), None)
        if same is None:
            yield None, now
            continue
        while left and left[0] != same:
            yield left.pop(0), None
        left.pop(0)
        yield same, now
    yield from ((was, None) for was in left)


def _place(item: BuildDockerfile, index: int | None, file: str | None) -> str:
    """Where an instruction stands, as far as it is known: no lock says the file, which the other side may."""
    number = item.numbers[index] if index is not None and item.numbers else None
    name = item.file or file or "Dockerfile"
    return f"{name}:{number}" if number else name


def _cut(text: str | None, other: str | None = None) -> str:
    """An instruction on one line, cut to what is shown: of two, from where they differ."""
    line, _, more = (text or "").partition("\n")
    if other is not None and more and line == other.partition("\n")[0]:
        # Only a here-document changed: its first line that did tells more.
        line = next((a for a, b in zip_longest(more.split("\n"), other.split("\n")[1:]) if a != b), "") or ""
        return f"… {_printable(_short(line))}"
    return _printable(_short(line, other)) + (" …" if more else "")


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _short(line: str, other: str | None = None) -> str:
    if len(line) <= _SHOWN_CHARACTERS:
        return line
    begin = 0
    if other is not None:
        same = next((i for i, (a, b) in enumerate(zip(line, other, strict=False)) if a != b), 0)
        begin = max(0, min(same - _SHOWN_CHARACTERS // 4, len(line) - _SHOWN_CHARACTERS))
    part = line[begin : begin + _SHOWN_CHARACTERS]
    return f"{'…' if begin else ''}{part}{'…' if begin + len(part) < len(line) else ''}"


def _images(old: BuildDockerfile, new: BuildDockerfile) -> Iterator[Change]:
    before, after = (
        {(each.image.name, each.platform): each.image.digest for each in item.images} for item in (old, new)
    )
    for name, platform in sorted(before.keys() & after.keys(), key=str):
        was, now = before[name, platform], after[name, platform]
        if was == now:
            continue
        text = f"dockerfile: digest of {name} moved ({_digest(was)} → {_digest(now)})"
        yield Change("", _FIELD, name, "moved", _whole(was), _whole(now), text)
    for name, platform in sorted(before.keys() - after.keys(), key=str):
        yield Change("", _FIELD, name, "removed", name, None, f"dockerfile: - image {_on(name, platform)}")
    for name, platform in sorted(after.keys() - before.keys(), key=str):
        yield Change("", _FIELD, name, "added", None, name, f"dockerfile: + image {_on(name, platform)}")


def _on(name: str, platform: str | None) -> str:
    return f"{name} for {platform}" if platform else name


def _whole(digest: Digest | None) -> str | None:
    return str(digest) if digest else None


def _digest(digest: Digest | None) -> str:
    return digest.short if digest else "not known"
