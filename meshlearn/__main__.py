"""`python -m meshlearn`: the command line program."""

from meshlearn.cli import main

if __name__ == "__main__":
    main()
