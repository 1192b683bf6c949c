"""`qbd temporal-setup` against a real server: what it makes, that it may run again, and what it refuses."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from ops import temporal_setup
from ops.embedded import RETENTION
from ops.temporal_setup import SetupRefusedError, set_up
from ops.worker_process import check_search_attributes
from workflows import search_attributes


async def in_a_new_namespace(temporal: WorkflowEnvironment) -> Client:
    target = temporal.client.service_client.config.target_host
    name = f"setup-{uuid.uuid4().hex[:8]}"
    return await Client.connect(target, namespace=name, data_converter=pydantic_data_converter)


async def kept_for(client: Client) -> timedelta:
    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return answer.config.workflow_execution_retention_ttl.ToTimedelta()


async def test_everything_is_made_once_even_by_two_at_once(temporal: WorkflowEnvironment) -> None:
    """The worker finds what it checks at its start; a third run says that all is there."""
    client = await in_a_new_namespace(temporal)
    await asyncio.gather(set_up(client), set_up(client))
    await check_search_attributes(client)
    assert await kept_for(client) == RETENTION == timedelta(days=30)
    again = await set_up(client)
    assert again == [
        f"namespace {client.namespace}: is there, keeps what has ended for 30 days",
        *(f"search attribute {key.name}: is there" for key in search_attributes.ALL),
    ]


@pytest.mark.parametrize(("before", "after"), [(timedelta(days=2), RETENTION), (timedelta(days=90), None)])
async def test_retention_grows_and_never_shrinks(
    temporal: WorkflowEnvironment, before: timedelta, after: timedelta | None
) -> None:
    client = await in_a_new_namespace(temporal)
    await set_up(client)
    change = UpdateNamespaceRequest(namespace=client.namespace)
    change.config.workflow_execution_retention_ttl.FromTimedelta(before)
    await client.workflow_service.update_namespace(change)
    await set_up(client)
    assert await kept_for(client) == (after or before)


async def test_attribute_of_another_type_is_refused(temporal: WorkflowEnvironment) -> None:
    """Exports would hang on it; nobody's attribute is changed."""
    client = await in_a_new_namespace(temporal)
    name = search_attributes.ALL[0].name
    made = await temporal_setup._namespace(client)
    assert "made" in made
    assert await temporal_setup._known(client) == {}
    kind = IndexedValueType.INDEXED_VALUE_TYPE_INT
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes={name: kind})
    )
    with pytest.raises(SetupRefusedError, match=f"{name}.*Int"):
        await set_up(client)
