"""Fixtures of the unit tests."""

import sys

import pytest

from hcp import cli


@pytest.fixture
def hcp(monkeypatch, capsys):
    """Runs a command line in this process: its exit code and what it wrote to stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hcp", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return run
