"""`servelite deploy`: package functions, then let AWS' `sam` deploy them."""

import shlex
from typing import Any

import click

from servelite.cli.package import make_order, package_options, print_order, print_package, read_order
from servelite.tools.packaging.deployment import deploy, find_sam, plan_deployment
from servelite.tools.packaging.template import stack_name


@click.command("deploy")
@package_options
@click.option("--stack", metavar="NAME", help="The CloudFormation stack.  [default: the function's name]")
@click.option("--region", metavar="NAME", help="The AWS region.  [default: AWS' own settings]")
@click.option("--yes", is_flag=True, help="Do not ask.")
def deploy_command(dry_run: bool, stack: str | None, region: str | None, yes: bool, **said: Any) -> None:
    """Package functions and deploy them to AWS Lambda: `servelite package`, then `sam deploy`.

    Prints its plan, and asks. The credentials are those that AWS' own tools find.

    \b
    Example:
      servelite deploy functions/sentiment --arch arm64 --ledger --dry-run
      servelite deploy functions/sentiment --stack reviews --region eu-central-1 --yes
    """
    order = read_order(**said)
    deployment = plan_deployment(order.plan, stack or stack_name(order.plan.contents.title), region)
    sam = "sam" if dry_run else find_sam()  # before anything is made
    commands = deployment.commands(sam)
    print_order(order)
    click.echo("\n".join(f"deploy: cd {shlex.quote(str(deployment.folder))} && {shlex.join(command)}" for command in commands))
    if dry_run:
        return
    if not yes:
        click.confirm(f"Deploy the stack {deployment.stack}?", abort=True)
    print_package(order, make_order(order))
    deploy(commands, deployment.folder)
