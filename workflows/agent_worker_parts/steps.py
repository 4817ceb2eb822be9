"""The activities of one agent worker, each with its options."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.agent import AgentActivities
    from activities.repository import RepositoryActivities
    from contracts.agent_workers import AgentWorkerRun, SendMessageCommand, TurnOutcome
    from contracts.states import AgentKind
    from contracts.steps import (
        PushedBranch,
        TurnRequest,
        WorkspaceFile,
        WorkspacePush,
        WorkspaceReady,
        WorkspaceRemoval,
        WorkspaceRequest,
    )
    from contracts.worker_steps import BranchTakeUp, ControlTaken, TakenUp, TurnControl, TurnLeft
    from workflows import options


class WorkerSteps:
    """What is done for one agent worker, outside."""

    def __init__(self, worker_id: str, run: AgentWorkerRun) -> None:
        self._worker_id = worker_id
        self._run = run

    @property
    def repository(self) -> str:
        return self._run.context.get("repository", "")

    @property
    def branch(self) -> str:
        return self._run.context.get("branch", "")

    @property
    def user_id(self) -> int | None:
        told = self._run.context.get("user_id", "")
        return self._run.user_id or (int(told) if told.isdecimal() else None)

    def turn(
        self, command: SendMessageCommand, number: int, agent: AgentKind, message: str, session_id: str | None
    ) -> TurnRequest:
        """The turn of a message; `message` is what the agent is told."""
        return TurnRequest(
            worker_id=self._worker_id,
            turn=number,
            request_id=command.request_id,
            task_id=self._run.context.get("task_id", self._worker_id),
            project_id=self._run.context.get("project_id", self._worker_id),
            agent=agent,
            message=message,
            session_id=session_id,
            timeout_s=command.timeout,
            env_vars=self._run.config.env_vars,
            user_id=self.user_id,
            model=command.model,
            login_volume=self._run.login_volume if agent is self._run.config.agent else None,
            capabilities=self._run.config.capabilities,
            profile=self._run.config.profile,
        )

    async def make_workspace(self) -> WorkspaceReady:
        what = f"Clone {self.repository} for the agent" if self.repository else "Make a folder for the agent"
        return await workflow.execute_activity_method(
            RepositoryActivities.prepare,
            WorkspaceRequest(worker_id=self._worker_id, repository=self.repository or None, branch=self.branch),
            **options.named(options.REPOSITORY, what),
        )

    async def write(self, path: str, content: str) -> None:
        await workflow.execute_activity_method(
            RepositoryActivities.write_file,
            WorkspaceFile(worker_id=self._worker_id, path=path, content=content),
            **options.named(options.REPOSITORY, f"Write {path}"),
        )

    async def take_up(self, known: str | None) -> TakenUp:
        return await workflow.execute_activity_method(
            RepositoryActivities.take_up,
            BranchTakeUp(worker_id=self._worker_id, repository=self.repository, branch=self.branch, known=known),
            **options.named(options.REPOSITORY, f"Take up what was pushed to {self.branch}"),
        )

    async def run_turn(self, request: TurnRequest, queue: str) -> TurnOutcome:
        result = await workflow.execute_activity_method(
            AgentActivities.run_turn,
            request,
            **options.named(options.on_queue(options.TURN, queue), f"Turn {request.turn} of {request.agent.value}"),
        )
        return result.outcome

    async def control(self, control: TurnControl, queue: str) -> ControlTaken:
        return await workflow.execute_activity_method(
            AgentActivities.control_turn,
            control,
            **options.named(options.on_queue(options.CONTROL, queue), f"Tell turn {control.turn}: {control.kind}"),
        )

    async def stop_turn(self, request: TurnRequest, queue: str) -> TurnLeft:
        return await workflow.execute_activity_method(
            AgentActivities.stop_turn,
            request,
            **options.named(options.on_queue(options.STOP, queue), f"Stop turn {request.turn}"),
        )

    async def push(self, base_commit: str, expected: str | None) -> PushedBranch:
        return await workflow.execute_activity_method(
            RepositoryActivities.push,
            WorkspacePush(
                worker_id=self._worker_id,
                repository=self.repository,
                branch=self.branch,
                base_commit=base_commit,
                expected=expected,
            ),
            **options.named(options.REPOSITORY, f"Push {self.branch} and compare the remote"),
        )

    async def remove_workspace(self) -> None:
        await workflow.execute_activity_method(
            RepositoryActivities.remove,
            WorkspaceRemoval(worker_id=self._worker_id),
            **options.named(options.REPOSITORY, "Remove the workspace"),
        )
