"""`python -m phasetune` is `phasetune`."""

from phasetune.cli.main import main

if __name__ == "__main__":
    main()
