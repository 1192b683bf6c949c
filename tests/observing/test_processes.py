"""The real processes: what each serves to Prometheus, and that what it recorded arrives although it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from ops.ports import NO_TLS, free_ports
from tests.scenario.stack import Stack
from tests.support.otlp import collecting

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_each_process_serves_its_metrics_and_soap_does_not(tmp_path: Path) -> None:
    """Each gives its own and the installation's; together they give all that dashboard and alerts use of ours."""
    [port] = free_ports(1)
    stack = Stack(tmp_path / "data", more={"QBD_BRIDGE_METRICS_PORT": str(port)})
    try:
        stack.start()
        stack.wait_ready()
        settings = stack.settings
        ports = {"bridge": port, "worker": settings.metrics_port, "api": settings.api_port}
        texts = {
            name: httpx.get(f"http://127.0.0.1:{at}/metrics", trust_env=False, verify=NO_TLS, timeout=10).text
            for name, at in ports.items()
        }
        for text in texts.values():
            assert "qbd_installation_read 1.0" in text
        assert "qbd_soap_call_seconds" in texts["bridge"]
        assert "qbd_signal_delivery_seconds" in texts["bridge"]
        assert "temporal_num_pollers" in texts["worker"]
        assert "qbd_exports" in texts["worker"]
        assert "qbd_api_requests" in texts["api"]
        for path in ("/metrics", "/qbwc/metrics"):
            assert (
                httpx.get(f"http://127.0.0.1:{settings.soap_port}{path}", trust_env=False, verify=NO_TLS).status_code
                == 404
            )
        given = set(re.findall(r"^# TYPE (\S+) ", "\n".join(texts.values()), re.MULTILINE))
        rules = yaml.safe_load((DOCS / "alerts.yml").read_text())
        expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
        dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
        expressions += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
        used = {name for text in expressions for name in re.findall(r"\bqbd_[a-z_]+", text)}
        assert not {re.sub("_(bucket|count|sum)$", "", name) for name in used} - given
    finally:
        stack.stop()


def test_the_demo_leaves_traces_of_three_processes_and_no_names(tmp_path: Path) -> None:
    """Each process hands over what it recorded before it ends; logs and spans hold no name of the samples."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("QBD_", "TEMPORAL_", "OTEL_"))}
    with collecting() as collector:
        done = subprocess.run(
            [sys.executable, "-m", "ops", "demo", "--keep"],
            cwd=tmp_path,
            env={
                **environ,
                "PYTHONPATH": str(ROOT),
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
                "TMPDIR": str(tmp_path),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    services = {
        one.value.string_value
        for request in collector.requests
        for resource in request.resource_spans
        for one in resource.resource.attributes
        if one.key == "service.name"
    }
    assert services == {"qbd-api", "qbd-bridge", "qbd-worker"}
    logs = "".join(path.read_text() for path in tmp_path.glob("qbd-demo-*/logs/*"))
    spans = b"".join(collector.raw).decode("utf-8", "replace")
    assert "export moves" in logs
    samples = [json.loads(path.read_text()) for path in (ROOT / "samples").glob("*s/*.json")]
    names = {one[party]["name"] for one in samples for party in ("customer", "carrier") if one.get(party)}
    totals = {one["total"] for one in samples if "total" in one}
    for mark in names | {total for total in totals if len(total) > 6}:
        assert mark not in logs
        assert mark not in spans
