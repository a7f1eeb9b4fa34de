"""Entry point of ``python -m pruning``; the arguments are in :mod:`pruning.cli.main`."""

from pruning.processes.exit import run_program


def main() -> int:
    """Run the command that the arguments name; its exit code."""
    from pruning.cli.main import main as run_command

    return run_command()


if __name__ == "__main__":
    run_program(main)
