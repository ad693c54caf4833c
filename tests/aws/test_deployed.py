"""The pruned package itself, deployed by `sam` from its own template into a local stand-in for AWS, and called there in every way.

The stand-in runs functions by its own Python, which is this one, so the package is made for that.
"""

import asyncio
import contextlib
import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from servelite.tools.packaging.deployment import deploy, plan_deployment
from servelite.tools.packaging.making import make
from servelite.tools.packaging.plan import Plan, find_contents, make_plan
from servelite.tools.packaging.target import here
from servelite.tools.packaging.template import Choices, template_text
from tests.aws.parts import sam
from tests.cli.command import servelite
from tests.ministack import CREDENTIALS, Ministack, running
from tests.server import until

pytestmark = pytest.mark.aws

FUNCTIONS = Path(__file__).parents[2] / "functions"
GOOD, POISON = '{"text": "A wonderful film."}', '{"text": 7}'
WITHIN_S = 60


@dataclass(frozen=True)
class Deployed:
    """A stack in the stand-in, with what its template gives away."""

    aws: Ministack
    outputs: dict[str, str]

    def invoke(self, payload: Any) -> Any:
        """Call the function's alias directly."""
        name = f"{self.outputs['FunctionName']}:live"
        answer = self.aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(payload).encode())
        return answer.get("FunctionError"), json.loads(answer["Payload"].read())

    def request(self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], Any]:
        """Ask its URL, which the stand-in tells by the Host header; HTTP APIs have one of its own there."""
        host = re.sub(r"(\.execute-api)\..*", r"\1.localhost", urlsplit(self.outputs["Url"]).netloc)
        said = {"Host": host, "Content-Type": "application/json", **(headers or {})}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.aws.port, timeout=WITHIN_S)) as connection:
            connection.request(method, path, body.encode(), said)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(answer.read())

    def signature(self, method: str, path: str, body: str, service: str) -> dict[str, str]:
        """Return the headers of a signed request."""
        request = AWSRequest(method, f"{self.outputs['Url'].rstrip('/')}{path}", data=body, headers={"Content-Type": "application/json"})
        SigV4Auth(Credentials("test", "test"), service, "eu-central-1").add_auth(request)
        return dict(request.headers)

    def queue(self, output: str) -> str:
        """Return the URL of a queue, where it is reached."""
        return f"{self.aws.url}{urlsplit(self.outputs[output]).path}"

    def messages(self, output: str) -> list[str]:
        """Take what is in a queue."""
        got = self.aws.client("sqs").receive_message(QueueUrl=self.queue(output), MaxNumberOfMessages=10)
        return [message["Body"] for message in got.get("Messages", [])]

    def left(self, output: str) -> int:
        """Return how many messages are in a queue, those that are worked on among them."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.aws.client("sqs").get_queue_attributes(QueueUrl=self.queue(output), AttributeNames=names)
        return sum(int(value) for value in found["Attributes"].values())


@pytest.fixture(scope="module")
def aws() -> Iterator[Ministack]:
    """Return the stand-in, which tools of AWS find by the environment."""
    sam()
    with running() as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": stack.url, "SAM_CLI_TELEMETRY": "0"}.items():
            patch.setenv(name, value)
        yield stack


@pytest.fixture(scope="module")
def plan(aws: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Return the plan of a package that is made: of a function, and of a pipeline that it is a stage of."""
    contents = asyncio.run(find_contents([FUNCTIONS / "sentiment", FUNCTIONS / "triage"]))
    made = make_plan(contents, here(), tmp_path_factory.mktemp("package") / "build", is_image=False, is_checked=False)
    make(made, lambda _: None)
    return made


def deployed(aws: Ministack, plan: Plan, stack: str, choices: Choices) -> Deployed:
    """Deploy a package, and read the stack's outputs."""
    (plan.out / "template.yaml").write_text(template_text(plan, choices))
    deployment = plan_deployment(plan, stack, None)
    deploy(deployment.commands(str(sam())), deployment.folder)
    (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return Deployed(aws, {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]})


@pytest.fixture(scope="module")
def signed(aws: Ministack, plan: Plan) -> Deployed:
    """Return the package behind a Function URL and a queue; callers sign their requests."""
    return deployed(aws, plan, "signed", Choices("url", queue=True))


@pytest.fixture(scope="module")
def metered(aws: Ministack, plan: Plan) -> Deployed:
    """Return the package behind an HTTP API, with a ledger; callers show keys."""
    made = deployed(aws, plan, "metered", Choices("api", ledger=True))
    _add_route(made)
    return made


def _add_route(made: Deployed) -> None:
    """Add the route that SAM writes into the API's OpenAPI document, of which the stand-in reads no routes."""
    apis, functions = made.aws.client("apigatewayv2"), made.aws.client("lambda")
    (api,) = [one["ApiId"] for one in apis.get_apis()["Items"] if one["ApiId"] in made.outputs["Url"]]
    function = functions.get_alias(FunctionName=made.outputs["FunctionName"], Name="live")["AliasArn"]
    way = {"IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "2.0", "IntegrationUri": function}
    integration = apis.create_integration(ApiId=api, **way)["IntegrationId"]
    apis.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{integration}")


def test_the_package_is_emulated_as_it_is(plan, tmp_path):
    done = servelite("emulate", str(plan.product), "-", "--sam", str(sam()), stdin=GOOD.encode(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["action"] == "answer"  # of the two, the one that is no stage
    assert "REPORT init " in done.stderr


def test_a_direct_call_is_answered(signed):
    error, answer = signed.invoke({"text": "A wonderful film."})
    assert (error, answer["label"]) == (None, "positive")


def test_a_direct_call_that_fails_is_an_error_of_lambda_s(signed):
    error, answer = signed.invoke({"text": 7})
    assert error
    assert "text" in answer["errorMessage"]


def test_a_function_url_lets_in_who_signs(signed):
    path = "/functions/sentiment"
    assert signed.request("POST", path, GOOD)[0] == 403
    status, headers, answer = signed.request("POST", path, GOOD, signed.signature("POST", path, GOOD, "lambda"))
    assert (status, answer) == (200, {"label": "positive", "score": pytest.approx(0.99, abs=0.02)})
    assert "compute-us=" in headers["servelite-receipt"]


def test_a_pipeline_answers_with_all_its_stages_in_the_package(signed):
    path, message = "/functions/triage", '{"text": "Ce film est merveilleux, je le recommande à tous mes amis."}'
    status, headers, answer = signed.request("POST", path, message, signed.signature("POST", path, message, "lambda"))
    assert (status, answer["action"], answer["language"]) == (200, "translate", "fr")
    assert "billed-us=" in headers["servelite-receipt"]


def test_of_a_batch_only_the_poisoned_message_comes_again_and_at_last_goes_aside(signed):
    sqs, jobs = signed.aws.client("sqs"), signed.queue("QueueUrl")
    sqs.set_queue_attributes(QueueUrl=jobs, Attributes={"VisibilityTimeout": "1"})
    bodies = [GOOD, POISON, GOOD.replace("wonderful", "dull")]
    sqs.send_message_batch(QueueUrl=jobs, Entries=[{"Id": f"{number}", "MessageBody": body} for number, body in enumerate(bodies)])
    until(lambda: not signed.left("QueueUrl"), WITHIN_S)
    assert until(lambda: signed.messages("DeadLettersUrl"), WITHIN_S) == [POISON]
    assert not signed.left("QueueUrl")


def test_an_http_api_wants_a_key_and_its_calls_are_metered(metered, tmp_path):
    path, ledger = "/functions/sentiment", metered.outputs["Ledger"]
    made = servelite("keys", "create", "--account", "shop", "--name", "web", "--ledger", ledger, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert metered.request("POST", path, GOOD)[0] == 401
    status, headers, answer = metered.request("POST", path, GOOD, {"Authorization": f"Bearer {made.stdout.strip()}"})
    assert (status, answer["label"]) == (200, "positive")
    assert "compute-us=" in headers["servelite-receipt"]
    usage = servelite("usage", "--by", "account", "--json", "--ledger", ledger, cwd=tmp_path)
    assert usage.returncode == 0, usage.stderr
    assert '"shop"' in usage.stdout
