"""``python -m hcp.cli``."""

from hcp.cli import main

if __name__ == "__main__":
    main()
