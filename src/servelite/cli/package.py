"""`servelite package`: a deployable zip or image of functions, its template, and the account of its size."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from servelite.cli.options import config_option
from servelite.cli.output import print_table, stdout_to_stderr
from servelite.tools.packaging.account import account_cells, zip_advice
from servelite.tools.packaging.making import Package, check_functions, make
from servelite.tools.packaging.plan import Plan, find_contents, make_plan, plan_lines
from servelite.tools.packaging.target import ARCHITECTURES, PYTHONS, Target, default_target
from servelite.tools.packaging.template import Choices, check_choices, template_text

OWN = default_target()


@dataclass(frozen=True, slots=True)
class Order:
    """What the options ask for."""

    plan: Plan
    choices: Choices
    notes: Sequence[str]


def package_options(command: Any) -> Any:
    """Add what `package` and `deploy` share."""
    options: list[Any] = [
        click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path)),
        click.option(
            "--target", type=click.Choice(["lambda"]), default="lambda", show_default=True, expose_value=False, help="What it is made for."
        ),
        click.option("--python", type=click.Choice(PYTHONS), default=OWN.python, show_default=True, help="Lambda's Python."),
        click.option("--arch", type=click.Choice(list(ARCHITECTURES)), default=OWN.arch, show_default=True, help="Lambda's processor."),
        click.option("-o", "--output", default="build", show_default=True, type=click.Path(path_type=Path), help="Folder to write to."),
        click.option("--image", is_flag=True, help="Write a Dockerfile and its context instead of a zip."),
        click.option(
            "--http", type=click.Choice(["url", "api", "none"]), default="url", show_default=True, help="Function URL, HTTP API, or none."
        ),
        click.option("--queue", is_flag=True, help="Take inputs from an SQS queue too."),
        click.option("--ledger", is_flag=True, help="Keep calls, keys and quotas in a DynamoDB table; callers over HTTP then show a key."),
        click.option(
            "--start", type=click.Choice(["plain", "snapstart", "provisioned"]), default="plain", show_default=True, help="How it starts."
        ),
        click.option(
            "--provisioned",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Environments always started, with --start provisioned.",
        ),
        config_option,
        click.option("--no-check", is_flag=True, help="Skip servelite check."),
        click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command("package")
@package_options
def package_command(dry_run: bool, **said: Any) -> None:
    """Package functions for AWS Lambda: a zip, a SAM template, and the account of the size.

    Their stages come along. The package holds what the functions need and no more, which is proven by running their examples in it.
    The first PATH is the function that events go to which name none.

    \b
    Example:
      servelite package functions/sentiment --target lambda --arch arm64 -o build
      servelite package functions/triage --queue --ledger --dry-run
    """
    order = read_order(**said)
    print_order(order)
    if not dry_run:
        print_package(order, make_order(order))


def read_order(
    *, paths: tuple[Path, ...], python: str, arch: str, output: Path, image: bool, config: Path | None, no_check: bool, **choices: Any
) -> Order:
    """Make a plan of the options."""
    with stdout_to_stderr():
        contents = asyncio.run(find_contents(paths))
    plan = make_plan(contents, Target(python, arch), output, is_image=image, is_checked=not no_check, settings=config)
    chosen = Choices(**choices)
    return Order(plan, chosen, check_choices(plan, chosen))


def print_order(order: Order) -> None:
    """Print a plan."""
    click.echo("\n".join([*plan_lines(order.plan), *(f"note: {note}" for note in order.notes)]))


def make_order(order: Order) -> Package:
    """Check, make, and write the template."""
    plan = order.plan
    if plan.is_checked:
        check_functions(plan.contents.folders, _progress)
    made = make(plan, _progress)
    (plan.out / "template.yaml").write_text(template_text(plan, order.choices), encoding="utf-8")
    return made


def print_package(order: Order, made: Package) -> None:
    """Print the account, and what was proven."""
    plan = order.plan
    click.echo()
    print_table(["part", "before", "after", "why cut"], account_cells(made.account), ["before", "after"])
    click.echo()
    where = "" if plan.is_proven_as_it_is else f" in a tree for Python {plan.proving.python} on {plan.proving.arch} that is cut alike"
    click.echo(f"Proven{where}: {', '.join(f'{proof.name} ({proof.examples} examples)' for proof in made.proofs)}.")
    if made.idle:
        click.echo(f"No example imported: {', '.join(made.idle)}.")
    if plan.python is None:
        click.echo(f"Without bytecode, for there is no Python {plan.target.python} here: cold starts take about twice as long.")
    if not plan.is_image and (advice := zip_advice(plan.product.stat().st_size)):
        click.echo(advice)
    click.echo(f"Written: {plan.product}, {plan.out / 'template.yaml'}")


def _progress(line: str) -> None:
    click.echo(f"  {line}", err=True)
