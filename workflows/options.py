"""Every timeout and retry of the workflows, each with its reason."""

from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from contracts.errors import ErrorCode
from contracts.names import Queue

# Which error is worth a retry is decided by its class, in one place (`workers.interceptors`), which also bounds
# the number of tries. This policy stays unbounded on purpose: an attempt that ends because a Temporal worker was
# killed says nothing about the work, and the next attempt adopts what the last one started.
BY_ERROR_CLASS = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=20),
    non_retryable_error_types=["PayloadsTooLarge", ErrorCode.PAYLOAD_TOO_LARGE.value],
)

# A dead Temporal worker is noticed after this long. Activities heartbeat once a second; the rest is slack for two
# cores that are busy with twenty jobs.
HEARTBEAT = timedelta(seconds=15)

# An own write through the API: milliseconds, or the API is down and the next attempt finds it again.
PROJECTION = ActivityConfig(
    task_queue=Queue.ORCHESTRATOR,
    start_to_close_timeout=timedelta(seconds=15),
    retry_policy=BY_ERROR_CLASS,
)

# Copier and git on local disks take seconds; a remote forge may take a minute. It heartbeats: without that a killed
# Temporal worker would hold the work up for the whole five minutes.
REPOSITORY = ActivityConfig(
    task_queue=Queue.AGENTS,
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# A turn is bounded by its own timeout (an hour by default), which the runtime enforces; this bound only catches a
# runtime that does not. Cancellation is complete when all processes of the turn have ended.
TURN = ActivityConfig(
    start_to_close_timeout=timedelta(hours=25),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# One request to a provider of machines, or a few: it answers within half a minute or not at all. A container of this
# machine that is made anew takes two minutes when its image has to be built first.
PROVIDER = ActivityConfig(
    task_queue=Queue.INFRA,
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
)

# Waiting for another workflow: as long as its longest turn.
WAIT_FOR_WORKFLOW = ActivityConfig(
    task_queue=Queue.ORCHESTRATOR,
    start_to_close_timeout=timedelta(hours=25),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
)

# Closing an agent worker, or an own write through the API: one short message. As long as this is how long a killed
# Temporal worker holds the work up.
SHORT = ActivityConfig(
    task_queue=Queue.ORCHESTRATOR,
    start_to_close_timeout=timedelta(seconds=20),
    retry_policy=BY_ERROR_CLASS,
)

# Recording a release. A cancel waits for the answer, because a return to the previous release depends on the record.
RECORD = ActivityConfig(
    **{**SHORT, "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED},
)

# Waiting for a deploy that runs already. A cancel waits until nothing is sent any more: what follows takes it back.
JOIN = ActivityConfig(
    **{**WAIT_FOR_WORKFLOW, "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED},
)

# Reading a commit from the forge, or the recorded releases; see SHORT.
CHOOSE = ActivityConfig(
    task_queue=Queue.AGENTS,
    start_to_close_timeout=timedelta(seconds=20),
    retry_policy=BY_ERROR_CLASS,
)

# Stopping what is no longer followed: as long as a process tree may take to end.
STOP = ActivityConfig(
    task_queue=Queue.AGENTS,
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
)

# A word to a turn that runs: a file into a volume. It is of use only while the turn runs.
CONTROL = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
)

# A project's own checks: 30 minutes by default, enforced by the Tester; an hour catches a Tester that hangs.
VERIFICATION = ActivityConfig(
    task_queue=Queue.AGENTS,
    start_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# What done means: milliseconds for the script, one turn for a model, which enforces its own bound.
PLANNING = ActivityConfig(
    task_queue=Queue.AGENTS,
    start_to_close_timeout=timedelta(hours=2),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# The checks of a running service: 15 minutes by default, enforced by the place where they run; before them a turn of
# whoever writes them. See VERIFICATION.
ACCEPTANCE = ActivityConfig(**{**PLANNING, "start_to_close_timeout": timedelta(hours=3)})

# One turn of a reviewer, which enforces its own bound.
REVIEW = PLANNING

# A run of the release program: 30 minutes by default, enforced by its supervisor; see VERIFICATION.
RELEASE_RUN = ActivityConfig(
    task_queue=Queue.INFRA,
    start_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# A backup, or one that is restored for comparison, of whatever size, over a slow line: what stands still is noticed by
# the heartbeat. A cancel waits until restic has let go of its repository.
BACKUP = ActivityConfig(
    task_queue=Queue.INFRA,
    start_to_close_timeout=timedelta(hours=24),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# Looking at a URL a few times, from outside.
PROBE = ActivityConfig(
    task_queue=Queue.INFRA,
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# Ten minutes are the longest watch that a project can have; one that begins anew after a killed Temporal worker is
# another attempt with its own bound.
WATCH = ActivityConfig(**{**PROBE, "start_to_close_timeout": timedelta(minutes=12)})

# The node that waits for a turn: it only talks to the agent worker, which stops the turn itself when it is closed.
DEVELOP = WAIT_FOR_WORKFLOW

# Going back is never cancelled half-way, and takes as long as stopping and starting processes. For five minutes it
# waits for a server that is away, and a last attempt may take five. It heartbeats.
REVERT = ActivityConfig(
    task_queue=Queue.INFRA,
    start_to_close_timeout=timedelta(minutes=20),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# A stretch of rounds that the platform makes for itself: an hour by default. It returns when its worker shuts down.
MAINTENANCE = ActivityConfig(
    task_queue=Queue.ORCHESTRATOR,
    start_to_close_timeout=timedelta(hours=25),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=BY_ERROR_CLASS,
)
LOOK_AFTER = ActivityConfig(**{**MAINTENANCE, "task_queue": Queue.INFRA})


def named(config: ActivityConfig, summary: str) -> ActivityConfig:
    """`config` with the words that people read on the timeline."""
    return ActivityConfig(**{**config, "summary": " ".join(summary.split())[:180]})


def on_queue(config: ActivityConfig, queue: str) -> ActivityConfig:
    """`config` on a queue that is known only when it runs, such as that of one host."""
    return ActivityConfig(**{**config, "task_queue": queue})


def node(config: ActivityConfig, summary: str) -> dict[str, Any]:
    """Metadata of a graph node that runs as an activity."""
    return {"execute_in": "activity", **named(config, summary)}
