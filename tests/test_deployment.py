"""The image and the compose file name nothing that is not there: no engine runs them here."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mock_im_server.settings import parse

DOCKERFILE = Path("Dockerfile").read_text("utf-8")
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    lines = re.sub(r"\\\n", " ", DOCKERFILE).splitlines()
    found = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return [(name, rest) for name, rest in found]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load(Path("compose.yaml").read_text("utf-8"))["services"])


def test_the_image_has_known_instructions_and_copies_what_there_is() -> None:
    assert {name for name, _ in instructions()} <= INSTRUCTIONS
    sources = [rest.split()[0] for name, rest in instructions() if name == "COPY"]
    assert [source for source in sources if not Path(source).exists()] == []


def test_the_image_runs_the_server_as_nobody_special() -> None:
    given = dict(instructions())
    command = json.loads(given["ENTRYPOINT"]) + json.loads(given["CMD"])

    assert command[:3] == ["python", "-m", "mock_im_server"]
    assert parse(command[3:]).host == "0.0.0.0"
    assert given["USER"] != "root"


def test_the_image_installs_what_is_pinned_by_hash() -> None:
    assert "--require-hashes -r requirements/run.txt" in DOCKERFILE


def test_the_servers_options_are_options(services: dict[str, Any]) -> None:
    settings = parse(services["server"]["command"])

    assert (settings.workers, settings.store) == (4, "redis://redis:6379/0")
    assert settings.data_dir == Path("/data")


def test_locusts_options_are_options(services: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "locust", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    # The scenario's own are not in Locust's help.
    known += "".join(Path(name).read_text("utf-8") for name in ("im_load/scenario.py", "locustfiles/dau_spike.py"))
    asked = [
        option.partition("=")[0]
        for name in ("locust", "worker")
        for option in [*services[name]["entrypoint"], *services[name]["command"]]
        if option.startswith("--")
    ]

    assert [option for option in asked if option not in known] == []
    assert all(Path(services[name]["entrypoint"][2]).exists() for name in ("locust", "worker"))


def test_every_metric_is_documented() -> None:
    source = Path("mock_im_server/transport/metrics.py").read_text("utf-8")
    documented = Path("docs/deployment.md").read_text("utf-8")

    assert [name for name in re.findall(r'Gauge\("(im_[a-z_]+)"', source) if f"`{name}`" not in documented] == []
    assert [key for key in re.findall(r'^ {16}\("([a-z_]+)", "', source, re.MULTILINE) if key not in documented] == []


def test_every_service_and_volume_that_is_named_is_there(services: dict[str, Any]) -> None:
    volumes = yaml.safe_load(Path("compose.yaml").read_text("utf-8"))["volumes"]
    needed = {name for service in services.values() for name in service.get("depends_on", ())}
    mounted = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", ())}

    assert needed <= set(services)
    assert mounted <= set(volumes)
