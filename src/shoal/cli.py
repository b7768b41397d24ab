"""The command `shoal`."""

import os
from pathlib import Path

import click

from . import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="shoal")
def main() -> None:
    """Train small neural networks, one or a hundred thousand at once."""


def _output(context: click.Context, parameter: click.Parameter, path: Path) -> Path:
    """Refuse a path that cannot be written before the work, not after it."""
    if not path.parent.is_dir():
        raise click.BadParameter(f"the folder {str(path.parent)!r} does not exist.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise click.BadParameter(f"{str(path)!r} cannot be written: choose another path.")
    return path


@main.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="shoal-demo.png",
    show_default=True,
    callback=_output,
    help="Where the picture is saved.",
)
def demo(output: Path) -> None:
    """Run the tutorial's programs and a sweep of 1,000 nets.

    Prints the tutorial's numbers beside Shoal's, times Shoal beside numpy, sweeps nets over
    scikit-learn's handwritten digits, and saves a picture of the sweep.
    """
    try:
        from rich.console import Console

        from . import demo

        try:
            demo.check_extras()
        except ImportError as error:
            raise click.ClickException(str(error)) from None
        demo.run(Console(highlight=False), output)
    except KeyboardInterrupt:
        click.echo("\nStopped; no picture was saved.", err=True)
        raise SystemExit(130) from None  # as shells report it


@main.command()
def info() -> None:
    """Show versions, threads, SIMD, cache and GPU."""
    from rich.console import Console

    from . import about

    Console(highlight=False).print(about.table())
