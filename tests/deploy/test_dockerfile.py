"""The Dockerfile against the folders, settings and commands that the code has. test_chroot.py runs its steps."""

from __future__ import annotations

import re

from ops.cli import app
from ops.settings import load_settings
from tests.deploy import dockerfile
from tests.deploy.dockerfile import PROJECT

NOT_IN_IT = {"tests", "simulator", "benchmarks"}


def test_both_stages_stand_on_the_same_pinned_image() -> None:
    build, final = dockerfile.stages()
    assert build.base == final.base
    assert re.fullmatch(r"python:3\.13\.[0-9]+-slim-bookworm@sha256:[0-9a-f]{64}", final.base)
    assert build.name == "build"


def test_it_holds_every_folder_of_the_program() -> None:
    final = dockerfile.stages()[-1]
    copied = {rest.split()[0] for word, rest in final.steps if word == "COPY" and "--from" not in rest}
    folders = {path.parent.name for path in PROJECT.glob("*/__init__.py")} - NOT_IN_IT
    assert copied == folders | {"worker.py"}
    assert all(rest in (f"{one} {one}", "worker.py ./") for one in copied for rest in [_copy_of(one)])


def _copy_of(source: str) -> str:
    return next(rest for word, rest in dockerfile.stages()[-1].steps if word == "COPY" and rest.split()[0] == source)


def test_what_it_copies_is_let_through_and_nothing_else() -> None:
    """`.dockerignore` begins with everything; secrets, data and history never reach a build."""
    lines = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {line.removeprefix("!") for line in rules if line.startswith("!")}
    copied = {
        source
        for stage in dockerfile.stages()
        for word, rest in stage.steps
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == let_in


def test_packages_come_by_hash_and_build_tools_stay_behind() -> None:
    build, final = dockerfile.stages()
    installs = re.findall(r"pip install ([^&]*)", " ".join(rest for _, rest in build.steps))
    assert len(installs) == 2
    assert all("--require-hashes" in one for one in installs)
    assert "pip uninstall" in build.steps[1][1]
    words = " ".join(rest for word, rest in final.steps if word == "RUN")
    assert not re.search(r"apt|pip install|gcc", words)


def test_it_runs_as_a_numbered_user_and_knows_its_health() -> None:
    final = dockerfile.stages()[-1]
    user = final.last("USER")
    assert re.fullmatch(r"[1-9][0-9]{3,}:[1-9][0-9]{3,}", user)
    assert f"--uid {user.partition(':')[0]} " in final.steps[0][1]
    assert dockerfile.exec_form(final.last("ENTRYPOINT")) == ["python", "-P", "-m", "ops"]
    check = dockerfile.exec_form(final.last("HEALTHCHECK").partition(" CMD ")[2])
    assert check == ["python", "-P", "-m", "ops", "health"]
    assert "health" in {one.callback.__name__ for one in app.registered_commands if one.callback}
    settings = load_settings({})
    ports = [settings.soap_port, settings.api_port, settings.metrics_port]
    assert final.last("EXPOSE").split() == [str(port) for port in ports]
    load_settings({name: value for name, value in dockerfile.environment(final).items() if name.startswith("QBD_")})
