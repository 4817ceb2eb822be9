"""Wire names: what other processes and old histories know us by. A name here is never changed, only added."""

from typing import Final


class Queue:
    ORCHESTRATOR: Final = "orchestrator"
    AGENTS: Final = "agents"
    INFRA: Final = "infra"
    ALL: Final = ("orchestrator", "agents", "infra")


class WorkflowName:
    DELIVERY: Final = "delivery"
    ENGINEERING: Final = "engineering"
    DEPLOY: Final = "deploy"
    AGENT_WORKER: Final = "agent-worker"
    MAINTENANCE: Final = "maintenance"
    HOUSEKEEPING: Final = "housekeeping"
    BACKUP: Final = "backup"
    ALL: Final = ("delivery", "engineering", "deploy", "agent-worker", "maintenance", "housekeeping", "backup")


class ActivityName:
    PROJECTION_APPLY: Final = "projection.apply"
    REPOSITORY_SCAFFOLD: Final = "repository.scaffold"
    WORKSPACE_PREPARE: Final = "workspace.prepare"
    WORKSPACE_WRITE_FILE: Final = "workspace.write_file"
    WORKSPACE_PUSH: Final = "workspace.push"
    WORKSPACE_REMOVE: Final = "workspace.remove"
    AGENT_RUN_TURN: Final = "agent.run_turn"
    AGENT_STOP_TURN: Final = "agent.stop_turn"
    AGENT_CONTROL_TURN: Final = "agent.control_turn"
    WORKSPACE_TAKE_UP: Final = "workspace.take_up"
    AGENT_WORKER_RECORD: Final = "agent_worker.record"
    VERIFICATION_STOP: Final = "verification.stop"
    ACCEPTANCE_STOP: Final = "acceptance.stop"
    JUDGE_STOP: Final = "judge.stop"
    REVIEW_STOP: Final = "review.stop"
    MODEL_BUDGET_RAISE: Final = "model_budget.raise"
    AGENT_WORKER_CLOSE: Final = "agent_worker.close"
    DEPLOYMENT_JOIN: Final = "deployment.join"
    DEPLOYMENT_WITHDRAW: Final = "deployment.withdraw"
    DEPLOYMENT_OPERATE: Final = "deployment.operate"
    DEPLOYMENT_REVERT: Final = "deployment.revert"
    DEPLOYMENT_CHOOSE: Final = "deployment.choose"
    MAINTENANCE_WATCH: Final = "maintenance.watch"
    MAINTENANCE_TIDY: Final = "maintenance.tidy"
    PARTS_PLAN: Final = "parts.plan"
    SERVICES_LOOK: Final = "services.look"
    BACKUP_MAKE: Final = "backup.make"
    BACKUP_VERIFY: Final = "backup.verify"
    PROVIDER_LIST: Final = "provider.list"
    PROVIDER_LOOK: Final = "provider.look"
    PROVIDER_ORDER: Final = "provider.order"
    PROVIDER_PROGRESS: Final = "provider.progress"


class UpdateName:
    ANSWER: Final = "answer"
    SUBMIT: Final = "submit"
    OUTCOME: Final = "outcome"
    WITHDRAW: Final = "withdraw"
    SEND_MESSAGE: Final = "send_message"
    SEND_FILE: Final = "send_file"
    DELETE: Final = "delete"
    STEER: Final = "steer"
    STOP: Final = "stop"


class SignalName:
    QUESTION_BELOW: Final = "question_below"
    PLAN: Final = "plan"


class QueryName:
    STATUS: Final = "status"


class GraphName:
    ENGINEERING: Final = "engineering-graph"
    DEVOPS: Final = "devops-graph"


class SearchAttribute:
    PROJECT_ID: Final = "ProjectId"
    PROJECT_NAME: Final = "ProjectName"
    TASK_ID: Final = "TaskId"
    USER_ID: Final = "UserId"
    STAGE: Final = "Stage"
    SERVER_HANDLE: Final = "ServerHandle"
    ALL: Final = ("ProjectId", "ProjectName", "TaskId", "UserId", "Stage", "ServerHandle")


LINK_OF: Final = "link_of_"
"""In a task's result, before the name of a service: where people reach it."""
SCREENSHOT: Final = "screenshot_"
"""In a task's result, before a number: a picture of a page, in the artifact store."""
REVIEW: Final = "review"
"""In a task's result: what somebody who has read the change says of it."""
