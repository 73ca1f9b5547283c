"""`python -m executor.cli` is the command line."""

from executor.cli.start import main

if __name__ == "__main__":
    main()
