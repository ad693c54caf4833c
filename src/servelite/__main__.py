"""`python -m servelite` is the `servelite` command."""


def main() -> None:
    """Run the command line; it exits with 0 (fine), 1 (a call or check failed) or 2 (wrong usage)."""
    from servelite.cli.main import cli

    cli()


if __name__ == "__main__":
    main()
