"""Pages on the command line, one for each group of commands in its help, from the commands themselves; called by
``scripts.generate_docs``."""

import inspect
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import typer

from espalier.cli.main import EXIT_CODES, app

_INTRO = """# The command line

`espalier COMMAND --help` says the same. Results go to standard output, everything else to standard error, so that output can
be piped; `--json` prints what the service answered. Commands that talk to a service find it by `--url` or `ESPALIER_URL`, and
name themselves by `--api-key` or `ESPALIER_API_KEY`, else by the key that `espalier login` has left for that address, in a file
that only its user can read. Where a command takes the id of a job, a sweep, a data set or a webhook, a beginning that no other
has will do, with or without `job_`, and so will `last`, the newest. `espalier --install-completion` lets the shell complete
commands, options and these ids. `espalier --version` names the version; `-h` is `--help`.

"""
_COMMON = ("help", "url", "api_key", "as_json")
"""Options that the introduction describes, once for all commands that have them."""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its whole name, in the order of the help."""
    yield from _below(typer.main.get_command(app), "espalier")


def cli_pages() -> dict[str, str]:
    """File name → page: what all commands have in common, and for each group what its commands do, take and print."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    parts = [f"{_INTRO}## Exit codes\n\n| code | meaning |\n| --- | --- |\n{codes}"]
    pages = {}
    for group, members in groupby(sorted(commands(), key=_group), _group):
        found = list(members)
        file = f"cli-{group.lower()}.md"
        rows = "".join(f"| `{name}` | {_summary(command)} |\n" for name, command in found)
        parts.append(f"## {group}\n\n[All arguments and options]({file}).\n\n| command | what it does |\n| --- | --- |\n{rows}")
        sections = "\n".join(_section(name, command) for name, command in found)
        pages[file] = f"# Command line: {group.lower()}\n\nWhat all commands have in common is in [cli](cli.md).\n\n{sections}"
    return {"cli.md": "\n".join(parts), **pages}


def _group(named: tuple[str, Any]) -> str:
    """The group of the help that a command is in, which its first word decides."""
    first = typer.main.get_command(app).commands[named[0].split()[1]]  # type: ignore[attr-defined]  # a group
    return str(first.rich_help_panel)


def _summary(command: Any) -> str:
    text = " ".join(inspect.cleandoc(command.help).partition("Example: ")[0].split())
    return text.partition(". ")[0].rstrip(".") + "."


def _below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for child, each in command.commands.items():
            yield from _below(each, f"{name} {child}")
    else:
        yield name, command


def _section(name: str, command: Any) -> str:
    text, _, example = inspect.cleandoc(command.help).partition("Example: ")
    parameters = [each for each in command.params if each.param_type_name == "argument" or each.name not in _COMMON]
    arguments = [_metavar(each) for each in parameters if each.param_type_name == "argument"]
    lines = [f"## {' '.join([name, *arguments])}", "", " ".join(text.split()), "", "```sh", example.strip(), "```", ""]
    if parameters:
        lines += ["| | |", "| --- | --- |", *(f"| {_name(each)} | {_cell(each)} |" for each in parameters), ""]
    return "\n".join(lines)


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_metavar(parameter)}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _cell(parameter: Any) -> str:
    text = [parameter.help or ""]
    if parameter.default not in (None, False, ()) and "efault" not in text[0]:
        text.append(f"Default `{parameter.default}`.")
    if parameter.multiple and "repeated" not in text[0]:
        text.append("May be repeated.")
    if parameter.envvar:
        text.append(f"Or `{parameter.envvar}`.")
    return " ".join(filter(None, text)).replace("|", "\\|")
