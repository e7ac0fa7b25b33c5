"""The console script as a module: `python -m cnnlab NAME ...`."""

from cnnlab.config.commands import main

if __name__ == "__main__":
    main()
