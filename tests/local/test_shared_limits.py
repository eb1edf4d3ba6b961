"""Rate limits over several workloads of local mode: one process, so one count."""

import pathlib

import openai
import pytest

from tests.support import localmode

LIMIT = """
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: everybody, namespace: llm-governance}
spec:
  rateLimit: {requestsPerDay: 2, per: Organization, onExceed: Block}
"""


def test_a_limit_of_the_organization_counts_the_requests_of_all_workloads(tmp_path: pathlib.Path) -> None:
    folder = localmode.copy_of(localmode.QUICKSTART, tmp_path / "folder")
    (folder / "limit.yaml").write_text(LIMIT)

    def ask(local: localmode.Local, workload: str) -> None:
        url = f"http://127.0.0.1:{local.port(workload)}/v1"
        with openai.OpenAI(base_url=url, api_key="placeholder", max_retries=0) as client:
            client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], max_completion_tokens=20
            )

    with localmode.serving(folder, tmp_path / "state", "default/default", "batch/reports") as local:
        ask(local, "default/default")
        ask(local, "batch/reports")
        for workload in ("default/default", "batch/reports"):
            with pytest.raises(openai.RateLimitError, match="everybody limits the organization to 2 requests"):
                ask(local, workload)
