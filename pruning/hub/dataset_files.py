"""Choice of a hub data set's files for one configuration and split, among the files of a commit.

The card and its patterns are untrusted. They are compared with the names of the repository's own files and with nothing else:
no pattern reaches a local path or a URL. Without patterns, folders are configurations and names say the split, as the hub has it.
Called by :mod:`pruning.hub.datasets`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from pruning.errors import PermanentError, SplitMissingError
from pruning.spec.wording import listed

ENDINGS = (".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_NOT_DATA = frozenset({"dataset_infos.json", "dataset_info.json", "state.json", "config.json", "package.json", "croissant.json"})
_KEYWORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "dev": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
_SHARD = re.compile(r"[-_.]?\d+(-of-\d+)?(-[0-9a-f]{16})?$")
_MAX_WILDCARDS = 8

Patterns = list[tuple[str | None, list[str]]]
"""Patterns of files, each with the split that they belong to; None where their names say it."""


def choose_files(names: Iterable[str], card: Mapping[str, Any], dataset: str, config: str | None, split: str) -> list[str]:
    """The files of a split, in order of their names.

    Raises PermanentError: ``dataset_unsupported`` (no data files), ``config_missing``, ``split_missing``; both name the choices.
    """
    data = sorted(name for name in names if _is_data(name))
    if not data:
        scripts = [name for name in names if name.endswith(".py")]
        kind = f"is made by a script ({scripts[0]}), which is not run" if scripts else "has no data files"
        raise _unsupported(dataset, kind)
    configs = _card_configs(card) or _folder_configs(data)
    chosen = _choose_config(configs, dataset, config)
    splits = _splits_of(configs[chosen], data)
    if not splits:
        patterns = [pattern for _, listed in configs[chosen] for pattern in listed]
        raise _unsupported(dataset, f"has none of the files that its card names for {chosen!r} ({', '.join(patterns[:3])})")
    wanted = _KEYWORDS.get(split.lower(), split)
    alike = [name for known, files in splits.items() if _keyword(known) == wanted for name in files]
    found = splits.get(split) or alike
    if not found:
        raise SplitMissingError(
            f"data set {dataset!r} has no split {split!r} in configuration {chosen!r}; its splits are: {_listed(splits)}",
            splits=tuple(splits),
        )
    return found


def _is_data(name: str) -> bool:
    lower = name.lower().removesuffix(".gz")
    hidden = any(part.startswith((".", "_")) for part in PurePosixPath(name).parts)
    return lower.endswith(ENDINGS) and not hidden and PurePosixPath(lower).name not in _NOT_DATA


def _card_configs(card: Mapping[str, Any]) -> dict[str, Patterns]:
    found: dict[str, Patterns] = {}
    configs = card.get("configs")
    for config in configs if isinstance(configs, list) else []:
        if isinstance(config, Mapping) and (patterns := _patterns(config.get("data_files"))):
            name = str(config.get("config_name", "default"))
            found["default" if config.get("default") is True else name] = patterns
            found[name] = patterns
    return found


def _patterns(data_files: Any) -> Patterns:
    if isinstance(data_files, str):
        return [(None, [data_files])]
    if isinstance(data_files, Mapping):
        return [(str(split), _texts(paths)) for split, paths in data_files.items()]
    if not isinstance(data_files, list):
        return []
    entries = [entry for entry in data_files if isinstance(entry, Mapping) and "path" in entry]
    found: Patterns = [(str(entry.get("split", "train")), _texts(entry["path"])) for entry in entries]
    plain = [entry for entry in data_files if isinstance(entry, str)]
    return [*found, (None, plain)] if plain else found


def _texts(given: Any) -> list[str]:
    listed = given if isinstance(given, list) else [given]
    return [item for item in listed if isinstance(item, str)]


def _folder_configs(data: Sequence[str]) -> dict[str, Patterns]:
    found: dict[str, Patterns] = {}
    for name in data:
        folders = [part for part in PurePosixPath(name).parts[:-1] if part.lower() not in {"data", *_KEYWORDS}]
        found.setdefault("/".join(folders) or "default", [(None, [])])[0][1].append(_literal(name))
    return found


def _choose_config(configs: Mapping[str, Patterns], dataset: str, config: str | None) -> str:
    if config is not None and config in configs:
        return config
    if config is None and "default" in configs:
        return "default"
    if config is None and len(configs) == 1:
        return next(iter(configs))
    what = f"has no configuration {config!r}" if config is not None else "has several configurations; name one as config"
    raise PermanentError(
        f"data set {dataset!r} {what}; its configurations are: {_listed(configs)}", code="config_missing", param="task.config"
    )


def _splits_of(patterns: Patterns, data: Sequence[str]) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {}
    for split, globs in patterns:
        matchers = [_matcher(pattern) for pattern in globs]
        for name in data:
            if any(matcher.fullmatch(name) for matcher in matchers):
                files = splits.setdefault(split or _split_of(name), [])
                if name not in files:
                    files.append(name)
    return splits


def _split_of(name: str) -> str:
    """The split that a file's name says, else its folder's; the name without its shard's number where neither does."""
    path = PurePosixPath(name)
    stem = path.name.split(".")[0]
    stem = _SHARD.sub("", stem) or stem
    folder = next((_KEYWORDS[part.lower()] for part in reversed(path.parts[:-1]) if part.lower() in _KEYWORDS), None)
    if stem.lower() in _KEYWORDS:
        return stem
    return folder or stem


def _keyword(split: str) -> str | None:
    """The usual name of a split whose name contains it: ``train`` for ``my_train_rows``."""
    words = {_KEYWORDS[word] for word in re.split(r"[^a-z]+", split.lower()) if word in _KEYWORDS}
    return words.pop() if len(words) == 1 else None


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _matcher(pattern: str) -> re.Pattern[str]:
    """A pattern of paths in the repository: ``*`` and ``?`` within a folder, ``**`` across folders."""
    out, i = "", 0
    pattern = pattern.removeprefix("./")
    if pattern.count("*") > _MAX_WILDCARDS:  # an untrusted pattern could take hours to compare
        return re.compile(re.escape(pattern))
    while i < len(pattern):
        if pattern.startswith("**/", i):
            out, i = out + "(?:.*/)?", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif pattern[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif pattern[i] == "?":
            out, i = out + "[^/]", i + 1
        elif (group := re.compile(r"\[[\w*?\[-]+\]").match(pattern, i)) is not None:
            inside = re.escape(group[0][1:-1]).replace(r"\-", "-")
            out, i = out + f"[{inside}]", group.end()
        else:
            out, i = out + re.escape(pattern[i]), i + 1
    try:
        return re.compile(out)
    except re.error:  # a range that runs backwards
        return re.compile(re.escape(pattern))


def _listed(names: Iterable[str]) -> str:
    return listed(sorted(names))


def _unsupported(dataset: str, what: str) -> PermanentError:
    return PermanentError(
        f"hub data set {dataset!r} {what}; take one with files in Parquet, JSONL or CSV, or upload its rows",
        code="dataset_unsupported",
        param="task",
    )
