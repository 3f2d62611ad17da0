"""``python -m serving.standin``: the same command as ``python -m serving tfserving-standin``."""

from serving.standin.cli import main

if __name__ == "__main__":
    main()
