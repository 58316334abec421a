"""Fixtures of the unit tests."""

import sys

import pytest

from hcp import cli


@pytest.fixture
def hcp(monkeypatch, capsys):
    """Runs a command line in this process: its exit code and what it wrote to stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hcp", *map(str, arguments)])
        # The command ends its process at once where a solver still runs, and this one has other tests to run.
        monkeypatch.setattr(cli, "_exit", sys.exit)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return run
