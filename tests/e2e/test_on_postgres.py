"""One end-to-end test of each kind on PostgreSQL as well; `make test ENGINE=postgresql` runs all of them there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import test_crash_platforms, test_delivery_out, test_jobs, test_webhooks_in_kills, test_without_worker

pytestmark = [pytest.mark.e2e, pytest.mark.crash, pytest.mark.engines("postgresql")]


@pytest.mark.parametrize("platform", test_crash_platforms.WALKS)
async def test_a_kill_repeats_and_loses_nothing_on_any_platform(tmp_path: Path, platform: str) -> None:
    await test_crash_platforms.test_a_kill_repeats_and_loses_nothing_on_any_platform(tmp_path, platform, "after_call:4")


async def test_a_kill_sends_no_parcel_twice_and_loses_none(tmp_path: Path) -> None:
    await test_crash_platforms.test_a_kill_sends_no_parcel_twice_and_loses_none(tmp_path, "shopify", "after_call:2")


async def test_a_kill_right_after_a_webhook_was_kept_loses_and_repeats_nothing(tmp_path: Path) -> None:
    await test_webhooks_in_kills.test_a_kill_right_after_a_webhook_was_kept_loses_and_repeats_nothing(tmp_path, 17)


async def test_a_job_goes_on_after_kills_and_repeats_nothing(tmp_path: Path) -> None:
    await test_jobs.test_a_job_goes_on_after_kills_and_repeats_nothing(tmp_path)


async def test_everything_arrives_in_order_however_often_the_daemon_dies(tmp_path: Path) -> None:
    await test_delivery_out.test_kills_during_calls_to_receivers_that_fail_at_random_lose_nothing(tmp_path, 1)


async def test_a_target_that_was_accepted_without_a_worker_is_done_once(tmp_path: Path) -> None:
    await test_without_worker.test_a_target_that_was_accepted_without_a_worker_survives_a_kill_and_is_done_once(
        tmp_path
    )
