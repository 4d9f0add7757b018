"""`python -m orchestrator`: the same as the command `fulfilld`."""

from orchestrator.cli.app import main

if __name__ == "__main__":
    main()
