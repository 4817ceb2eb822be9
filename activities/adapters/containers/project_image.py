"""The image in which a commit's own code is run: that of tests, with the environment that the project declares."""

from pathlib import Path

from activities.adapters.containers.images import DockerImages
from activities.adapters.packages.environment_file import files_of, read_environment
from activities.adapters.verification.report import code_failure
from activities.adapters.verification.steps import Refused
from contracts.errors import ErrorCode, OrchestratorError


async def image_of(project: Path, images: DockerImages) -> str:
    """Its tag. Raises Refused for an environment that cannot be set up: that is the project's failure."""
    try:
        return await images.environment(await images.worker(), await read_environment(files_of(project)))
    except OrchestratorError as error:
        if error.code is not ErrorCode.ENVIRONMENT_FAILED:
            raise
        raise Refused(code_failure(error.message, str(error.details["evidence"]))) from None
